"""When pictures were taken, and how long one that is early waits."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.server.pace import JUMP, MOST_HELD, WINDOW, Ages, CaptureClock, Pace


def test_delays_on_the_way_do_not_shake_the_time_of_capture():
    clock = CaptureClock()
    delays = [0.05, 0.02, 0.09, 0.03, 0.02, 0.12]
    captured = [clock.captured(n / 20, 100 + n / 20 + late) for n, late in enumerate(delays)]
    gaps = [b - a for a, b in pairwise(captured[1:])]
    assert gaps == pytest.approx([0.05] * 4, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1000)), max_size=30))
def test_nothing_was_captured_after_it_arrived(pairs):
    clock = CaptureClock()
    assert all(clock.captured(own, arrived) <= arrived + 1e-6 for own, arrived in pairs)


def test_a_stream_whose_times_begin_anew_is_followed():
    clock = CaptureClock()
    clock.captured(500, 1000)
    assert clock.captured(0, 1001) == pytest.approx(1001)
    assert clock.captured(0.05, 1001.05 + JUMP / 2) <= 1001.05 + JUMP / 2


def test_a_stream_whose_clock_stood_still_is_soon_believed_again():
    """A sender that is starved loses sound, and its times do not tell: what comes then is not old, but after a gap."""
    clock = CaptureClock()
    for n in range(50):
        clock.captured(n / 50, 100 + n / 50)
    assert clock.captured(1, 101.4) == pytest.approx(101)
    ages = [101.4 + n / 50 - clock.captured(1 + n / 50, 101.4 + n / 50) for n in range(250)]
    assert ages[-1] == pytest.approx(0)
    assert sum(age > 0.1 for age in ages) / 50 <= 2 * WINDOW


def test_an_early_picture_waits_for_its_usual_age_and_a_late_one_goes_at_once():
    pace = Pace()
    for n in range(50):
        pace.wait(n, n + 0.1)
    assert pace.wait(51, 51.15) == 0
    assert 0.02 < pace.wait(52, 52.07) <= MOST_HELD


@given(st.lists(st.floats(0, 10), min_size=1))
def test_no_wait_is_long(ages):
    pace = Pace()
    assert all(0 <= pace.wait(0, age) <= MOST_HELD for age in ages)


def test_shares_of_durations():
    ages = Ages()
    assert ages.at(0.5) == 0
    for n in range(100):
        ages.add(n / 100)
    assert (ages.at(0.5), ages.at(0.95), ages.at(1)) == (0.5, 0.95, 0.99)
