"""What is given up to hold a latency, and when it comes back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config import LIMITS, Schedule, Size
from sidestream.config_live import LiveConfig
from sidestream.live.autopilot import Effort, Pilot, Steering, ladder, steer
from sidestream.types import Controls

CONFIG = LiveConfig(autopilot=True, latency=0.2, cheaper_after=1.0, better_after=5.0)
RUNGS = ladder(LIMITS.max_steps, 0.5)


def fly(pilot: Pilot, latency, seconds: float, start: float = 0.0, steps: int = 1) -> list[int]:
    """Pictures at 20 a second; `latency` may depend on the rung."""
    rungs = []
    for tick in range(int(seconds * 20)):
        found = latency(pilot.effort) if callable(latency) else latency
        pilot.note(found, start + tick / 20, steps)
        rungs.append(int(pilot.stats["autopilot_rung"]))
    return rungs


def cost(effort: Effort) -> float:
    """As of a model where everything costs what it should."""
    return 0.5 * effort.scale**2 / effort.refresh**0.5


def test_the_ladder_leads_from_what_was_asked_for_to_the_cheapest():
    assert RUNGS[0] == Effort()
    assert [rung.steps for rung in RUNGS[1:4]] == [4, 2, 1]
    assert [rung.refresh for rung in RUNGS[4:6]] == [2, 4]
    assert [rung.scale for rung in RUNGS[6:]] == [0.75, 0.5]


@given(st.integers(1, 8), st.integers(2, 64), st.integers(2, 64), st.sampled_from(RUNGS))
def test_no_rung_spends_more_than_was_asked_for(steps, across, down, rung):
    size = Size(32 * across, 32 * down)
    inner, controls = rung.size_of(size), rung.controls_of(Controls(prompt="ink", steps=steps))
    assert controls.steps <= steps
    assert 64 <= inner.width <= size.width
    assert 64 <= inner.height <= size.height
    assert (inner.width % 32, inner.height % 32) == (0, 0)
    schedule = rung.schedule_of(Schedule(text_every=2))
    assert schedule.text_every == 2 * rung.refresh


def test_in_time_nothing_changes():
    assert set(fly(Pilot(CONFIG), 0.18, 60)) == {0}


def test_one_slow_picture_changes_nothing():
    pilot = Pilot(CONFIG)
    fly(pilot, 0.15, 5)
    pilot.note(1.0, 5.1, 1)
    assert set(fly(pilot, 0.15, 5, start=5.2)) == {0}


def test_being_late_makes_pictures_cheaper_until_it_holds():
    pilot = Pilot(CONFIG)
    rungs = fly(pilot, cost, 30)
    assert cost(pilot.effort) <= 1.1 * CONFIG.latency
    assert rungs == sorted(rungs)
    assert "of the size inside" in pilot.effort.words


def test_rungs_that_would_change_nothing_are_left_out():
    few, many = Pilot(CONFIG), Pilot(CONFIG)
    assert max(fly(few, 0.5, 1.5, steps=1)) == 4
    assert max(fly(many, 0.5, 1.5, steps=4)) == 2
    assert many.effort.words == "at most 2 steps"


def test_being_early_makes_them_better_again():
    pilot = Pilot(CONFIG)
    fly(pilot, 1.0, 20)
    assert pilot.stats["autopilot_rung"] == len(RUNGS) - 1
    fly(pilot, 0.02, 60, start=20)
    assert pilot.effort == Effort()
    assert pilot.effort.words == ""


def test_it_does_not_swing_for_ever():
    """Where one rung is too dear and the next much too cheap, tries become rare."""
    pilot = Pilot(CONFIG)
    rungs = fly(pilot, lambda effort: 0.05 if effort.refresh > 1 else 0.5, 600)
    changes = [second for second, (a, b) in enumerate(pairwise(rungs)) if a != b]
    assert len([at for at in changes if at > 200 * 20]) < 0.5 * len(changes)
    assert rungs[-1] == 4


@pytest.mark.parametrize("rung", range(len(RUNGS)))
def test_a_step_is_one_rung_within_the_ladder(rung):
    memory = Steering(rung=rung, latency=9.0)
    assert steer(memory, 9.0, 100.0, CONFIG, len(RUNGS)).rung == min(rung + 1, len(RUNGS) - 1)
    memory = replace(memory, latency=0.0)
    assert steer(memory, 0.0, 100.0, CONFIG, len(RUNGS)).rung == max(rung - 1, 0)
