"""A studio over the nano that is shipped: what a viewer sees, and what faults do to them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import pytest

from live.conftest import restyled, shown_when, until
from pictures import sliding
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.errors import PromptError
from sidestream.live import open_studio
from sidestream.live.faults import Fault, FaultPlan
from sidestream.live.process import LiveStudio
from sidestream.live.seat import LiveSeat
from sidestream.types import Controls, Pixels

SIZE = Size(64, 64)
SCENE = sliding(40, width=64, height=64)
LIVE = LiveConfig(backoff=0.05, late=1.0, hold=1.0, timeout_after_strikes=0.2)
INVERT, GREY = Controls(prompt="invert the colors"), Controls(prompt="make it black and white")


def scene(count: int) -> Pixels:
    return SCENE[count % 40]


def nano(*faults: Fault, seats: int = 2, live: LiveConfig = LIVE, size: Size = SIZE) -> LiveStudio:
    return open_studio(
        "nano",
        ModelConfig(dtype="float32"),
        stream=StreamConfig(size=size),
        seats=seats,
        live=live,
        faults=FaultPlan(faults),
    )


@pytest.fixture
def open_studio_() -> Iterator[Callable[..., LiveStudio]]:
    with ExitStack() as stack:
        yield lambda *faults, **how: stack.enter_context(nano(*faults, **how))


def play(*seats: LiveSeat, until_: Callable[[], bool], patience: float = 100.0) -> None:
    """Hands the scene to all seats until something holds; nobody ever sees nothing."""
    end, count = time.monotonic() + patience, 0
    while count == 0 or not until_():
        assert time.monotonic() < end, [seat.stats() for seat in seats]
        for seat in seats:
            seat.submit(scene(count), time.monotonic())
            assert seat.shown() is not None
        count += 1
        time.sleep(0.03)


def made(seat: LiveSeat) -> float:
    return seat.stats()["made"]


def colourful(pixels: Pixels) -> float:
    return float(np.ptp(pixels.astype(int), axis=2).mean())


@pytest.fixture(scope="module")
def eight() -> Iterator[LiveStudio]:
    with nano(seats=8) as studio:
        until(lambda: studio.state.health == "ok")
        yield studio


@pytest.fixture
def seat(eight) -> Iterator[LiveSeat]:
    with closing(eight.open(INVERT)) as opened:
        yield opened


def test_eight_viewers_each_get_their_own_words(eight):
    prompts = ["make it black and white", "invert the colors"] * 4
    with ExitStack() as stack:
        seats = [stack.enter_context(closing(eight.open(Controls(prompt=p)))) for p in prompts]
        play(*seats, until_=lambda: all(made(seat) >= 3 for seat in seats))
        pictures = [shown_when(seat, restyled, lambda _: SCENE[0]).pixels for seat in seats]
    grey, inverted = pictures[::2], pictures[1::2]
    assert max(map(colourful, grey)) < 0.75 * min(map(colourful, inverted))
    assert {pixels.shape for pixels in pictures} == {(64, 64, 3)}
    assert eight.stats()["batches"] < eight.stats()["made"]


def test_a_new_prompt_is_seen_and_acknowledged_within_two_pictures(seat):
    shown = [shown_when(seat, restyled, lambda _: SCENE[0])]
    asked = replace(GREY, revision=seat.controls.revision)
    revision, end = seat.change(asked), time.monotonic() + 60
    while shown[-1].revision < revision:
        seat.submit(SCENE[0], time.monotonic())
        found = seat.shown()
        if found.sequence > shown[-1].sequence:
            shown.append(found)
        assert time.monotonic() < end
        time.sleep(0.005)
    assert len([one for one in shown[1:] if one.revision < revision]) <= 2
    assert colourful(shown[-1].pixels) < 0.7 * colourful(shown[0].pixels)


def test_a_prompt_of_too_many_tokens_is_refused_at_once_and_leaves_the_old_one(eight, seat):
    """In few characters: it is the tokens of the model that count."""
    shown_when(seat, restyled, scene)
    long = replace(INVERT, prompt="x y " * 99)
    with pytest.raises(PromptError, match="tokens"):
        seat.change(long)
    with pytest.raises(PromptError, match="tokens"):
        eight.open(long)
    assert seat.controls.prompt == INVERT.prompt
    assert eight.stats()["seats"] == 1
    seat.change(GREY)
    shown_when(seat, lambda shown: shown.revision == 2 and not shown.notice, scene)


def test_a_source_that_stalls_and_returns_is_restyled_again(seat):
    last = shown_when(seat, restyled, scene)
    time.sleep(1.5)
    assert restyled(seat.shown())
    assert restyled(shown_when(seat, lambda shown: shown.stamp > last.stamp + 1, scene))


def test_a_worker_killed_in_the_middle_comes_back_with_everybodys_words(open_studio_):
    opened = open_studio_()
    grey, inverted = opened.open(GREY), opened.open(INVERT)
    play(grey, inverted, until_=lambda: made(grey) > 2 and made(inverted) > 2)
    os.kill(opened.worker_pid, signal.SIGKILL)
    play(grey, inverted, until_=lambda: "stopped" in grey.shown().notice)
    play(grey, inverted, until_=lambda: restyled(grey.shown()) and restyled(inverted.shown()))
    start = made(grey)
    play(grey, inverted, until_=lambda: made(grey) > start + 2)
    assert colourful(grey.shown().pixels) < 0.6 * colourful(inverted.shown().pixels)
    assert opened.stats()["restarts"] == 1


def test_workers_that_do_not_start_hang_or_lose_their_device_are_replaced(open_studio_):
    opened = open_studio_(
        Fault(point="load", kind="exit", worker=1),
        Fault(point="denoise", kind="hang", at=4, worker=2),
        Fault(point="denoise", kind="raise", at=5, times=10**9, worker=3),
        seats=1,
        live=replace(LIVE, stuck_after=5.0),
    )
    seat = opened.open(INVERT)
    play(seat, until_=lambda: opened.stats()["restarts"] == 3, patience=200)
    play(seat, until_=lambda: restyled(seat.shown()))
    assert opened.state.health == "degraded"


def test_exceptions_and_numbers_that_are_none_stop_nobody(open_studio_):
    points = ("encode_text", "encode_image", "denoise", "decode", "batch")
    faults = [Fault(point=point, kind="raise", at=7 * n + 3) for n, point in enumerate(points)]
    opened = open_studio_(*faults, Fault(point="decode", kind="nan", at=60, times=40))
    seats = [opened.open(GREY), opened.open(INVERT)]
    play(*seats, until_=lambda: all(made(seat) > 40 for seat in seats))
    assert opened.stats()["failed"] == 0
    assert "made again" in opened.state.reason
    good: list[Pixels] = []

    def held() -> bool:
        shown = seats[1].shown()
        if restyled(shown):
            good.append(shown.pixels)
        return shown.origin == "held"

    play(*seats, until_=held)
    shown = seats[1].shown()
    if shown.origin == "held":
        assert "last good picture" in shown.notice
        assert np.array_equal(shown.pixels, good[-1])
    play(*seats, until_=lambda: all(restyled(seat.shown()) for seat in seats))
    assert opened.stats()["bad"] > 0
    assert opened.stats()["restarts"] == 0


def test_a_seat_that_fails_sees_themselves_until_it_works_and_the_others_go_on(open_studio_):
    opened = open_studio_(Fault(point="batch", kind="raise", seat=1, times=12))
    good, bad = opened.open(GREY), opened.open(INVERT)
    play(good, bad, until_=lambda: "several times" in bad.shown().notice)
    assert bad.shown().origin == "source"
    assert opened.state.health == "degraded"
    before = made(good)
    play(good, bad, until_=lambda: made(good) > before + 5)
    # The picture and the worker's report come apart, so the notice may outlive the trouble for a moment.
    play(good, bad, until_=lambda: restyled(bad.shown()) and not bad.shown().notice)
    assert opened.stats()["restarts"] == 0


def test_memory_that_runs_out_lowers_the_batch(open_studio_):
    opened = open_studio_(Fault(point="batch", kind="out_of_memory", frames=2), seats=4)
    seats = [opened.open(GREY) for _ in range(4)]
    play(*seats, until_=lambda: opened.state.health == "degraded")
    assert "Memory ran out: at most 2 pictures" in opened.state.reason
    before = [made(seat) for seat in seats]
    play(*seats, until_=lambda: all(made(s) > b + 3 for s, b in zip(seats, before, strict=True)))
    assert opened.stats()["largest_batch"] == 2
    assert opened.stats()["restarts"] == 0


def test_an_autopilot_makes_pictures_cheaper_and_says_so(open_studio_):
    live = replace(LIVE, autopilot=True, latency=0.001, cheaper_after=0.2)
    opened = open_studio_(seats=1, live=live, size=Size(128, 128))
    seat = opened.open(replace(INVERT, steps=2))
    play(seat, until_=lambda: opened.stats().get("autopilot_scale") == 0.5)
    shown = shown_when(seat, lambda shown: "50% of the size inside" in shown.notice, scene)
    assert shown.pixels.shape == (128, 128, 3)
    assert "one step" in shown.notice
