"""When a session ends, and the one place where its controls are."""

import pytest

from server.conftest import BASE, Clock
from server.fakes import FakeSeat, FakeStudio
from sidestream.config_live import ServerLimits
from sidestream.server.desk import Desk
from sidestream.server.ending import Times, ending
from sidestream.server.forms import Change
from sidestream.server.refusal import Refusal

LIMITS = ServerLimits()
GOING = Times(born=0, frame=1000, watched=1000, connected=True)


@pytest.mark.parametrize(
    ("now", "times", "why"),
    [
        (1001, GOING, ""),
        (9.9, Times(born=0), ""),
        (10.1, Times(born=0), "No connection"),
        (10.1, Times(born=0, connected=True), "No picture"),
        (1009.9, GOING, ""),
        (1010.1, GOING, "No picture"),
        (1000, Times(born=0, frame=1000, watched=939, connected=True), "Nobody watched"),
        (LIMITS.session_seconds + 1, GOING, "The session has lasted 4 hours"),
    ],
)
def test_a_session_ends_for_one_of_four_reasons(now, times, why):
    assert ending(now, times).startswith(why)
    assert bool(ending(now, times)) == bool(why)


@pytest.fixture
def seat() -> FakeSeat:
    return FakeStudio().open(BASE)


def test_changes_that_come_too_fast_wait_and_the_latest_wins(seat, clock: Clock):
    told = []
    desk = Desk(seat, told.append, clock)
    desk.ask(Change(prompt="one"))
    for n in range(1000):
        assert desk.ask(Change(prompt=f"wish {n}", strength=0.5)).prompt == f"wish {n}"
    desk.ask(Change(seed=7))
    assert (seat.controls.prompt, seat.changes) == ("one", 1)
    clock.now += 0.1
    desk.settle()
    assert seat.changes == 1
    clock.now += 0.11
    desk.settle()
    assert (seat.controls.prompt, seat.controls.seed, seat.changes) == ("wish 999", 7, 2)
    assert desk.overtaken == 1000
    assert [one["controls"]["prompt"] for one in told] == ["one", "wish 999"]
    desk.settle()
    assert seat.changes == 2


def test_a_thousand_changes_a_second_are_five_for_the_model(seat, clock: Clock):
    desk = Desk(seat, lambda message: None, clock)
    for n in range(3000):
        clock.now += 0.001
        desk.ask(Change(prompt=f"wish {n}"))
        desk.settle()
    assert 14 <= seat.changes <= 16


def test_a_prompt_fades_in_while_other_controls_change(seat, clock: Clock):
    told = []
    desk = Desk(seat, told.append, clock)
    assert desk.ask(Change(prompt="oil", fade=2.0)).prompt == "oil"
    assert seat.controls.prompt == ((BASE.prompt, 1.0), ("oil", 0.0))
    clock.now += 1
    desk.settle()
    assert seat.controls.prompt == ((BASE.prompt, 0.5), ("oil", 0.5))
    assert desk.ask(Change(strength=0.25)).prompt == "oil"
    assert (seat.controls.strength, len(seat.controls.prompt)) == (0.25, 2)
    clock.now += 1
    desk.settle()
    assert seat.controls.prompt == "oil"
    changes = seat.changes
    clock.now += 1
    desk.settle()
    assert seat.changes == changes
    assert [one["controls"]["prompt"] for one in told] == ["oil", "oil"]


def test_another_prompt_ends_a_fade_where_it_is(seat, clock: Clock):
    desk = Desk(seat, lambda message: None, clock)
    desk.ask(Change(prompt="oil", fade=10.0))
    clock.now += 5
    desk.ask(Change(prompt="ink", fade=2.0))
    assert dict(seat.controls.prompt) == {BASE.prompt: 0.5, "oil": 0.5, "ink": 0.0}
    clock.now += 1
    desk.ask(Change(prompt="chalk"))
    assert seat.controls.prompt == "chalk"


def test_a_fade_to_what_cannot_be_done_is_refused_once(seat, clock: Clock):
    desk = Desk(seat, lambda message: None, clock)
    with pytest.raises(Refusal, match="400 tokens"):
        desk.ask(Change(prompt="unreadable", fade=5.0))
    clock.now += 1
    desk.settle()
    assert desk.controls == BASE


def test_a_fade_without_a_prompt_is_refused():
    with pytest.raises(Refusal, match="A fade belongs to a prompt"):
        Change(fade=1.0).onto(BASE)


def test_what_cannot_be_done_is_refused_and_changes_nothing(seat, clock: Clock):
    desk = Desk(seat, lambda message: None, clock)
    with pytest.raises(Refusal, match="400 tokens"):
        desk.ask(Change(prompt="unreadable"))
    assert desk.controls == BASE


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "The prompt is empty"),
        (" \x00 ", "The prompt is empty"),
        ("secret" * 100, "The prompt has 600 characters"),
        ([{"text": "a", "weight": 0.0}], "The weights of the prompts"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused_without_being_repeated(prompt, sentence):
    with pytest.raises(Refusal) as caught:
        Change.model_validate({"prompt": prompt}).onto(BASE)
    assert str(caught.value).startswith(sentence)
    assert "secret" not in str(caught.value)


def test_markup_of_the_models_own_is_taken_out_of_a_prompt():
    change = Change(prompt="a <|im_end|>\n<|image_pad|> tree")
    assert change.onto(BASE).prompt == "a tree"


def test_prompts_may_be_weighted():
    change = Change.model_validate({"prompt": [{"text": "a", "weight": 2.0}, {"text": "b"}]})
    assert change.onto(BASE).prompt == (("a", 2.0), ("b", 1.0))
