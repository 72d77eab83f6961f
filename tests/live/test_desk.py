"""Wishes from the terminal, from OSC and from cues, set at a frame."""

from __future__ import annotations

import os

import pytest

from inverting import StillSeat
from sidestream.config_live import ShowLimits
from sidestream.cues import Cues
from sidestream.errors import ConfigError
from sidestream.live.desk import Desk
from sidestream.live.terminal import TypedPrompts


def test_the_latest_wish_of_a_kind_wins():
    desk, seat = Desk(), StillSeat()
    for n in range(10_000):
        desk.ask(prompt=f"prompt {n}", seed=n)
    assert desk.settle(seat, 0.0) == {"prompt": "prompt 9999", "seed": 9999}
    assert seat.controls.revision == 2  # one call a kind, whatever the flood
    assert desk.settle(seat, 1.0) == {}


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"prompt": "x" * 401}, "has 401 characters"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"steps": 9}, "steps must be from 1 to 8"),
        ({"strength": -1.0}, "strength must be from 0 to 1"),
        ({"strength": float("nan")}, "strength must be from 0 to 1"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_what_cannot_be_had_is_refused_alone(wish: dict, sentence: str):
    told: list[str] = []
    desk, seat = Desk(refused=told.append), StillSeat()
    desk.ask(stability=0.5, **wish)
    assert desk.settle(seat, 0.0) == {"stability": 0.5}
    assert len(told) == 1 and sentence in told[0]


def test_a_studio_that_refuses_is_told():
    class Refusing(StillSeat):
        def change(self, controls):
            raise ConfigError("too large for this studio")

    told: list[str] = []
    desk = Desk(refused=told.append)
    desk.ask(seed=1)
    assert desk.settle(Refusing(), 0.0) == {}
    assert told == ["too large for this studio"]


def test_unknown_wishes_are_nothing():
    desk = Desk()
    desk.ask(size="1x1", revision=7)
    assert desk.settle(StillSeat(), 0.0) == {}


def test_cues_fade_and_a_wish_holds_until_the_next_one():
    desk, seat = Desk(Cues.parse("0 ink\n2 [fade 2] oil\n6 chalk")), StillSeat()
    assert desk.settle(seat, 0.0) == {"prompt": "ink"}
    desk.ask(prompt="neon")
    assert desk.settle(seat, 1.0) == {"prompt": "neon"}
    assert desk.settle(seat, 1.5) == {}
    assert desk.settle(seat, 3.0)["prompt"] == (("ink", 0.5), ("oil", 0.5))
    assert desk.settle(seat, 4.0) == {"prompt": "oil"}
    assert desk.settle(seat, 7.0) == {"prompt": "chalk"}


@pytest.mark.parametrize("wish", ["neon", "[fade 1] neon"])
def test_a_wish_holds_from_the_middle_of_a_fade_on(wish: str):
    desk, seat = Desk(Cues.parse("0 ink\n2 [fade 2] oil\n6 chalk")), StillSeat()
    desk.settle(seat, 0.0)
    assert desk.settle(seat, 2.5)["prompt"] == (("ink", 0.75), ("oil", 0.25))
    desk.ask(prompt=wish)
    desk.settle(seat, 2.75)
    desk.settle(seat, 3.75)
    assert seat.controls.prompt == "neon"
    assert desk.settle(seat, 5.0) == {}
    assert desk.settle(seat, 6.0) == {"prompt": "chalk"}


def test_a_wish_that_is_refused_costs_no_cue():
    desk, seat = Desk(Cues.parse("0 ink\n2 oil")), StillSeat()
    desk.settle(seat, 0.0)
    desk.ask(prompt="[fade 61] neon")
    assert desk.settle(seat, 2.0) == {}
    assert desk.settle(seat, 2.1) == {"prompt": "oil"}


def test_a_wish_may_fade_in_and_is_followed_by_another_on_the_way():
    desk, seat = Desk(), StillSeat()
    desk.ask(prompt="ink")
    desk.settle(seat, 0.0)
    desk.ask(prompt="[fade 2] oil")
    assert desk.settle(seat, 1.0) == {"prompt": (("ink", 1.0), ("oil", 0.0))}
    assert desk.settle(seat, 2.0) == {"prompt": (("ink", 0.5), ("oil", 0.5))}
    desk.ask(prompt="[fade 4] chalk")
    desk.settle(seat, 2.0)
    assert dict(desk.settle(seat, 4.0)["prompt"]) == {"ink": 0.25, "oil": 0.25, "chalk": 0.5}
    assert desk.settle(seat, 6.0) == {"prompt": "chalk"}
    assert desk.settle(seat, 7.0) == {}
    desk.ask(prompt="[fade 2] oil")
    desk.settle(seat, 8.0)
    desk.ask(prompt="neon")
    assert desk.settle(seat, 9.0) == {"prompt": "neon"}


@pytest.mark.parametrize("words", ["[fade 61] oil", "[fade x] oil", "[fade 2] "])
def test_a_fade_that_cannot_be_read_is_refused_and_the_one_before_goes_on(words: str):
    told: list[str] = []
    desk, seat = Desk(refused=told.append), StillSeat()
    desk.ask(prompt="[fade 2] ink")
    desk.settle(seat, 0.0)
    desk.ask(prompt=words)
    desk.settle(seat, 1.0)
    assert len(told) == 1 and "fade" in told[0]
    assert desk.settle(seat, 2.0) == {"prompt": "ink"}


def test_a_fade_that_the_studio_refuses_ends():
    class Refusing(StillSeat):
        def change(self, controls):
            raise ConfigError("too many words for this studio")

    told: list[str] = []
    desk, seat = Desk(refused=told.append), Refusing()
    desk.ask(prompt="[fade 2] oil")
    for moment in range(5):
        desk.settle(seat, moment / 10)
    assert len(told) == 1


def test_a_seed_or_size_is_no_change_where_it_is_the_same():
    desk, seat = Desk(), StillSeat()
    desk.ask(seed=seat.controls.seed)
    assert desk.settle(seat, 0.0) == {}
    assert seat.controls.revision == desk.changes == 0


def test_lines_that_are_typed_are_prompts():
    desk, seat = Desk(), StillSeat()
    reader, writer = os.pipe()
    os.write(writer, b"an oil painting\n\n" + b"x" * 5000 + b"\n  na\xc3\xafve \xff art")
    os.close(writer)
    typed = TypedPrompts(desk, reader, ShowLimits(line_bytes=100))
    typed._thread.join()  # at the end of what is typed
    typed.close()
    os.close(reader)
    assert desk.settle(seat, 0.0) == {"prompt": "naïve \ufffd art"}
    assert typed.too_long == 1


def test_what_is_not_yet_a_line_is_no_prompt():
    desk = Desk()
    reader, writer = os.pipe()
    typed = TypedPrompts(desk, reader)
    os.write(writer, b"half a pro")
    typed.close()
    assert desk.settle(StillSeat(), 0.0) == {}
    os.close(reader)
    os.close(writer)
