"""Memory over a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidestream.bench import memory
from sidestream.bench.bench import Bench
from sidestream.bench.memory import Point, growth


def test_growth_is_told_from_what_a_run_takes_at_first():
    """Ten frames a second and 100 MB by 10 frames up to the middle; then 2 MB by 10, and the last tenth half as fast."""
    points = [
        Point(10 * n, n + max(0, n - 36), 100.0 * min(n, 20) + 2 * max(0, n - 20), 7.0)
        for n in range(1, 41)
    ]
    found = growth(points)
    assert found["resident_mb_per_1000"] == pytest.approx(200)
    assert found["device_mb_per_1000"] == pytest.approx(0)
    assert found["frame_ms_early"] == pytest.approx(100)
    assert found["last_by_early"] == pytest.approx(2)


def test_of_a_few_points_no_growth_is_told():
    assert growth([Point(n, n, 1.0, 1.0) for n in range(1, 5)]) == {}


def test_a_run_is_looked_at_now_and_then(bench: Bench):
    found = list(memory.run(replace(bench, frames=12)))
    assert [one.row for one in found] == ["run", *map(str, range(2, 13))]
    metrics = found[0].metrics
    assert metrics["peak_mb"] >= 0.9 * metrics["loaded_mb"] > 50
    assert metrics["frames"] == 12
    assert list(memory.charts(found)) == ["over-time", "frame-time"]
    assert all(one.metrics["frame_ms"] > 0 for one in found[1:])
    assert memory.charts(found[:1]) == {}
