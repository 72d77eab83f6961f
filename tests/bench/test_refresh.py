"""What refreshing less often spares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

import lively
from sidestream.bench import refresh
from sidestream.bench.bench import Bench
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.types import Record


@pytest.fixture
def alone(bench: Bench) -> Iterator[Bench]:
    with lively.load(ModelConfig(adapter="none")) as stylizer:
        yield replace(bench, load=lambda name, config: nullcontext(stylizer))


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
