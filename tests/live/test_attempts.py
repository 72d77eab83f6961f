"""Something that may hang or break, kept going: on a clock that the test turns."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config_live import ShowLimits
from sidestream.errors import SourceError
from sidestream.live.attempts import Attempt, Attempts, pause

LIMITS = ShowLimits()


@dataclass
class Turned:
    """A clock."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Script:
    """Work whose attempts do what the test says."""

    clock: Turned = field(default_factory=Turned)
    begun: list[Attempt] = field(default_factory=list)
    fails: list[Exception | None] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    hang: bool = False

    def __call__(self, attempt: Attempt) -> None:
        self.begun.append(attempt)
        if not self.hang:
            attempt.beat()
        else:
            self.go.wait(30)
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error

    def attempts(self, at_end="pause", limits=LIMITS) -> Attempts:
        return Attempts("the source", self, at_end=at_end, limits=limits, clock=self.clock)


def step(attempts: Attempts) -> None:
    """Supervises once, and lets what has begun come to its end."""
    attempts.supervise()
    for thread in attempts._threads:
        thread.join(0.2)


@pytest.mark.parametrize(
    ("away", "seconds"), [(0, 0.3), (2, 0.3), (5, 0.5), (10, 1.0), (40, 4.0), (3600, 5.0)]
)
def test_pauses_grow_with_the_time_away(away: float, seconds: float):
    assert pause(away) == pytest.approx(seconds)


@given(st.floats(0, 10))
def test_what_returns_within_ten_seconds_is_met_within_about_one(away: float):
    now = 0.0
    while now < away:
        now += pause(now)
    assert now - away <= 1.0


def test_what_breaks_is_tried_again_after_a_pause():
    script = Script(fails=[SourceError("it broke off"), None])
    attempts = script.attempts()
    step(attempts)
    step(attempts)
    assert len(script.begun) == 1 and str(attempts.error) == "it broke off"
    script.clock.now += 0.29
    step(attempts)
    assert len(script.begun) == 1
    script.clock.now += 0.02
    step(attempts)
    assert len(script.begun) == 2 and attempts.retries == 1
    attempts.leave(1.0)


def test_a_surprise_is_told_by_its_kind_alone():
    script = Script(fails=[ZeroDivisionError("rtsp://me:hunter2@host")])
    attempts = script.attempts()
    step(attempts)
    attempts.supervise()
    assert str(attempts.error) == "the source broke (ZeroDivisionError)"
    attempts.leave(1.0)


@pytest.mark.parametrize("error", [None, SourceError("damaged")])
def test_what_ends_for_good(error):
    script = Script(fails=[error])
    attempts = script.attempts("stop")
    step(attempts)
    attempts.supervise()
    assert attempts.ended and attempts.error is error
    script.clock.now += 100
    step(attempts)
    assert len(script.begun) == 1


def test_a_loop_goes_on_at_once_but_not_when_it_breaks():
    script = Script(fails=[None, SourceError("damaged")])
    attempts = script.attempts("at once")
    for _ in range(4):
        step(attempts)
    assert len(script.begun) == 2
    script.clock.now += 0.31
    step(attempts)
    assert len(script.begun) == 3
    attempts.leave(1.0)


def test_what_hangs_is_left_and_begun_anew_but_not_without_end():
    script = Script(hang=True)
    attempts = script.attempts()
    attempts.supervise()
    for _ in range(40):
        script.clock.now += LIMITS.open_timeout + LIMITS.stall + 1
        attempts.supervise()
        attempts.supervise()
    assert str(attempts.error) == "the source is silent"
    assert attempts.begun == LIMITS.abandoned + 1
    assert not script.begun[0].current
    script.go.set()  # the library gives them back
    for thread in attempts._threads:
        thread.join(10)
    script.hang = False
    script.clock.now += LIMITS.retry_last + 1
    step(attempts)
    assert attempts.begun == LIMITS.abandoned + 2
    attempts.leave(1.0)


def test_silence_is_noticed_within_its_limit():
    script = Script(hang=True)
    attempts = script.attempts()
    attempts.supervise()
    while not script.begun:
        pass
    script.begun[0].beat()
    script.clock.now += 1.99
    attempts.supervise()
    assert script.begun[0].current
    script.clock.now += 0.02
    attempts.supervise()
    assert not script.begun[0].current
    script.go.set()
    attempts.leave(5.0)


def test_a_file_may_be_as_slow_as_it_likes():
    script = Script(hang=True)
    attempts = script.attempts("stop")
    attempts.supervise()
    script.clock.now += 3600
    attempts.supervise()
    assert attempts.begun == 1 and not attempts.ended
    script.go.set()
    attempts.finish(10)
    assert attempts.ended


def test_a_clock_that_steps_back_changes_nothing():
    script = Script(fails=[SourceError("it broke off")])
    attempts = script.attempts()
    step(attempts)
    script.clock.now -= 3600
    step(attempts)
    script.clock.now += 3601
    step(attempts)
    step(attempts)
    assert len(script.begun) == 2
    attempts.leave(1.0)
