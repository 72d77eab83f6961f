"""Who is replaced, when, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.conftest import until
from sidestream.config_live import LiveConfig
from sidestream.live.supervisor import Supervisor, Watch, pause_before, watch

CONFIG = LiveConfig(stuck_after=10, start_timeout=100, restarts=3, restart_window=60, backoff=0.5)


class Fake:
    def __init__(self, alive: bool = True, pulse: int = 1, ready: bool = True) -> None:
        self.is_alive, self.beats, self.is_ready, self.ended = alive, pulse, ready, False

    def alive(self) -> bool:
        return self.is_alive

    def pulse(self) -> int:
        return self.beats

    def ready(self) -> bool:
        return self.is_ready

    def end(self) -> None:
        self.ended = True


class Ticking:
    """A clock that moves by itself, because a supervisor looks at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


@pytest.mark.parametrize(
    ("worker", "seconds", "verdict"),
    [
        (Fake(), 10, "well"),
        (Fake(), 10.1, "stuck"),
        (Fake(pulse=2), 10.1, "well"),
        (Fake(alive=False), 0, "dead"),
        (Fake(alive=False, pulse=2), 0, "dead"),
    ],
)
def test_a_worker_that_shows_no_sign_of_life_is_stuck(worker, seconds, verdict):
    assert watch(Watch(0.0, 1, True), worker, seconds, CONFIG)[1] == verdict


def test_loading_may_take_longer_than_working():
    worker = Fake(ready=False)
    assert watch(Watch(0.0, 1, False), worker, 99, CONFIG)[1] == "well"
    assert watch(Watch(0.0, 1, False), worker, 101, CONFIG)[1] == "stuck"
    # Being ready is a sign of life.
    assert watch(Watch(0.0, 1, False), Fake(), 99, CONFIG)[1] == "well"


def test_pauses_grow_until_the_budget_is_spent():
    assert pause_before((), 0, CONFIG) == 0
    assert pause_before((0,), 1, CONFIG) == 0.5
    assert pause_before((0, 1), 2, CONFIG) == 1.0
    assert pause_before((0, 1, 2), 3, CONFIG) is None


@given(st.lists(st.floats(0, 1000), max_size=8), st.floats(1000, 2000))
def test_what_is_long_ago_counts_no_more(starts, now):
    recent = [start for start in starts if now - start < 60]
    assert pause_before(tuple(starts), now, CONFIG) == pause_before(tuple(recent), now, CONFIG)


def test_a_stuck_worker_is_ended_and_another_one_started():
    workers = [Fake(), Fake()]
    numbers: list[int] = []

    def launch(number: int) -> Fake:
        numbers.append(number)
        return workers[min(len(numbers), 2) - 1]

    clock = Ticking()
    supervisor = Supervisor(launch, CONFIG, clock=clock)
    supervisor.start()
    until(lambda: len(numbers) == 2)
    supervisor.close()
    assert workers[0].ended
    assert numbers[:2] == [1, 2]
    assert supervisor.why == "did not answer any more"


def test_a_worker_that_always_dies_is_given_up():
    supervisor = Supervisor(lambda number: Fake(alive=False), CONFIG, clock=Ticking())
    supervisor.start()
    until(lambda: bool(supervisor.failed))
    supervisor.close()
    assert "stopped 4 times" in supervisor.failed
    assert not supervisor.ready


def test_what_can_never_start_is_not_tried_twice():
    launched: list[int] = []

    def launch(number: int) -> Fake:
        launched.append(number)
        return Fake(alive=False)

    supervisor = Supervisor(launch, CONFIG, refused=lambda: "no such weights", clock=Ticking())
    supervisor.start()
    until(lambda: bool(supervisor.failed))
    supervisor.close()
    assert (supervisor.failed, launched) == ("no such weights", [1])


def test_a_worker_that_cannot_even_be_started_is_a_failure():
    def launch(number: int) -> Fake:
        raise OSError("no more processes")

    supervisor = Supervisor(launch, CONFIG, clock=Ticking())
    supervisor.start()
    until(lambda: bool(supervisor.failed))
    supervisor.close()
    assert "no more processes" in supervisor.failed
