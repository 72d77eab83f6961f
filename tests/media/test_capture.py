"""Times of a stream on the clock of the machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.media.capture import Timeline


def test_what_arrives_in_bursts_has_an_even_pace():
    line = Timeline()
    own = [n / 30 for n in range(90)]
    bursts = [100.0 + (n // 6) * 6 / 30 + 0.2 for n in range(90)]  # six at a time
    stamps = [line.stamp(time, now) for time, now in zip(own, bursts, strict=True)]
    steps = np.diff(stamps[12:])
    assert np.allclose(steps, 1 / 30, atol=0.002)
    assert all(stamp <= now + 1e-5 for stamp, now in zip(stamps, bursts, strict=True))


@pytest.mark.parametrize("jump", [-1000.0, -0.967, 30.0])
def test_times_that_jump_begin_anew(jump: float):
    line = Timeline()
    before = [line.stamp(n / 30, 50 + n / 30) for n in range(30)]
    after = [line.stamp(1 + jump + n / 30, 51 + n / 30) for n in range(30)]
    assert line.jumps == 1
    assert np.allclose(np.diff(before + after), 1 / 30, atol=1e-3)


def test_a_clock_that_is_slower_is_followed():
    line = Timeline()
    stamps = [line.stamp(n / 30, n / 30 * 1.001) for n in range(30_000)]
    assert stamps[-1] == pytest.approx(1001, abs=0.1)
    assert line.jumps == 0


def test_pictures_without_a_time_have_that_of_their_arrival():
    line = Timeline()
    assert [line.stamp(None, now) for now in (1.0, 2.0)] == [1.0, 2.0]
    assert line.of(3.0) is None


def test_sound_follows_the_pictures():
    line = Timeline()
    line.stamp(10.0, 500.0)
    assert line.of(10.5) == pytest.approx(500.5)


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 10)), min_size=2))
def test_stamps_always_increase(arrivals):
    line, now, last = Timeline(), 0.0, -1.0
    for own, wait in arrivals:
        now += wait
        stamp = line.stamp(own, now)
        assert stamp > last
        last = stamp
