"""What more costs, and what refreshing less often spares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

import lively
from sidestream.bench import refresh, scaling
from sidestream.bench.bench import Bench
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.types import Record


@pytest.fixture
def alone(bench: Bench) -> Iterator[Bench]:
    with lively.load(ModelConfig(adapter="none")) as stylizer:
        yield replace(bench, load=lambda name, config: nullcontext(stylizer))


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
    assert found["K = 4"].metrics["fps_by_first"] < 1
    assert list(scaling.charts(list(found.values()))) == ["scaling-streams", "scaling-steps"]
    assert scaling.charts([]) == {}


def test_text_and_conditioning_are_made_anew_as_often_as_a_row_says(bench: Bench):
    bench = replace(bench, frames=16, stream=StreamConfig(size=Size(32, 32)))
    found: dict[str, Record] = {one.row: one for one in refresh.run(bench)}
    encoded = {row: one.metrics["encoded_per_frame"] for row, one in found.items()}
    assert encoded["everything for every frame"] == encoded["conditioning every 4"] == 1
    assert encoded["text every 4"] == encoded["both every 4"] == 1 / 4
    assert encoded["text every 16"] == pytest.approx(1 / 16, abs=1 / 16)
    assert encoded["B = 8, text of the first frame"] == 1 / 8
    flow = {row: one.metrics["flow_ms_per_frame"] for row, one in found.items()}
    assert flow["conditioning every 16"] < 0.5 * flow["text every 16"]
    assert list(refresh.charts(list(found.values()))) == ["refresh"]
    assert refresh.charts([]) == {}


def test_without_an_adapter_there_is_no_conditioning_to_refresh(alone: Bench):
    rows = [row for row, _ in refresh.rows(alone, conditioned=False)]
    assert rows == [
        "everything for every frame",
        "text every 4",
        "text every 16",
        "B = 8, text of every frame",
        "B = 8, text of the first frame",
    ]
    first = next(refresh.run(replace(alone, frames=2)))
    assert first.metrics["conditioning_ms_per_frame"] == first.metrics["flow_ms_per_frame"] == 0
