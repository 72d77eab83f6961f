"""A long run."""

from __future__ import annotations

from dataclasses import replace

from sidestream.bench import sustained
from sidestream.bench.bench import Bench
from sidestream.bench.clock import Timeline


def test_a_run_gives_its_warm_up_its_pace_and_its_course(bench: Bench):
    found = list(sustained.run(replace(bench, frames=32)))
    assert [one.row for one in found] == ["warm-up", "steady", "0", "16"]
    steady = found[1]
    assert steady.metrics["frames"] == 32
    assert (steady.config["stream"]["size"], steady.config["rate"]) == ("64x64", None)
    assert steady.config["loading"]["dtype"] == "float32"
    assert steady.environment["device"].startswith("cpu")
    assert list(sustained.charts(found)) == ["over-time"]


def test_a_short_run_has_no_course_and_no_chart(bench: Bench):
    found = list(sustained.run(bench))
    assert [one.row for one in found] == ["warm-up", "steady"]
    assert sustained.charts(found) == {}


def test_a_window_is_timed_from_the_end_of_the_one_before():
    steady = Timeline([float(n) for n in range(32)], [float(n) + 2 for n in range(32)])
    [(first, one), (second, other)] = sustained.over_time(steady)
    assert (first, second) == ("0", "16")
    assert one == {"frame_ms": 17000 / 16, "latency_ms": 2000}
    assert other == {"frame_ms": 1000, "latency_ms": 2000}
