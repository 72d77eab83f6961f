"""What more costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidestream.bench import scaling
from sidestream.bench.bench import Bench
from sidestream.config import Size, StreamConfig


def test_all_that_is_asked_for_is_scaled(bench: Bench):
    rows = [point.row for point in scaling.points(replace(bench, quick=False))]
    assert rows[:5] == ["B = 1", "B = 2", "B = 4", "B = 8", "B = 16"]
    assert rows[5:10] == ["1 stream", "2 streams", "4 streams", "8 streams", "16 streams"]
    assert rows[10:] == ["K = 1", "K = 2", "K = 3", "K = 4", "32x32", "64x64", "1024x576"]


def test_a_quick_look_takes_the_ends(bench: Bench):
    points = list(scaling.points(bench))
    assert [point.row for point in points[:6]] == [
        "B = 1",
        "B = 8",
        "1 stream",
        "8 streams",
        "K = 1",
        "K = 4",
    ]
    assert {point.config.batch for point in points[6:]} == {1}


def test_a_size_is_named_once(bench: Bench):
    assert scaling.sizes(replace(bench, stream=StreamConfig(size=Size(32, 32)))) == [
        Size(32, 32),
        scaling.WIDE,
    ]


def test_rows_are_measured_by_the_first_of_their_table(bench: Bench):
    few = [
        one for one in scaling.points(bench) if one.table in ("scaling streams", "scaling steps")
    ]
    found = {one.row: one for one in scaling.measure(bench, few)}
    assert found["1 stream"].metrics["fps_by_first"] == found["K = 1"].metrics["fps_by_first"] == 1
    assert found["8 streams"].config["streams"] == 8
    assert found["8 streams"].metrics["frames"] == 8
    assert found["K = 4"].metrics["fps_by_first"] == pytest.approx(
        found["K = 4"].metrics["fps"] / found["K = 1"].metrics["fps"]
    )
    assert list(scaling.charts(list(found.values()))) == ["scaling-streams", "scaling-steps"]
    assert scaling.charts([]) == {}
