"""Stamps, and what is made of them."""

from __future__ import annotations

import pytest

from sidestream.bench.clock import Timeline, percentiles, timed
from sidestream.bench.footage import footage
from sidestream.config import Size

# Two batches of two: taken at 0 and 1 and at 2 and 3, out at 5 and at 8.
TIMELINE = Timeline([0.0, 1.0, 2.0, 3.0], [5.0, 5.0, 8.0, 8.5], together=2)


def test_ages_are_from_when_a_frame_was_taken():
    assert TIMELINE.latencies_ms == [5000, 4000, 6000, 5500]


def test_gaps_are_between_frames_and_between_batches():
    assert TIMELINE.gaps_ms == [0, 3000, 500]
    assert TIMELINE.batch_gaps_ms == [3500]


def test_a_run_lasts_from_the_first_frame_in_to_the_last_one_out():
    assert TIMELINE.seconds == 8.5
    assert TIMELINE.part(2, 4).seconds == 6.5


def test_of_nothing_there_are_no_percentiles():
    assert percentiles("gap_ms", []) == {}
    found = percentiles("gap_ms", [float(value) for value in range(101)])
    assert found == {"gap_ms_p50": 50, "gap_ms_p95": 95, "gap_ms_p99": 99}


def test_every_frame_is_stamped_on_its_way_in_before_it_comes_out(nano):
    pictures = list(footage(Size(64, 64), 5))
    with (
        nano.open("ink", size="64x64", batch=2) as one,
        nano.open("ink", size="64x64", batch=2) as other,
    ):
        alone = timed(nano, {one: pictures})
        both = timed(nano, {one: pictures, other: pictures})
    assert (len(alone), alone.together) == (5, 2)
    assert (len(both), both.together) == (10, 2)
    for timeline in (alone, both):
        assert min(timeline.latencies_ms) > 0
        assert list(timeline.given) == sorted(timeline.given)


def test_frames_that_come_at_a_rate_are_as_old_as_the_moment_they_were_due(nano):
    pictures = list(footage(Size(32, 32), 4))
    with nano.open("ink", size="32x32", batch=1) as one:
        live = timed(nano, {one: pictures}, rate=5)
    assert [live.taken[n] - live.taken[0] for n in range(4)] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert min(live.latencies_ms) > 0
    assert live.seconds > 0.6
