"""What more costs: frames a batch, streams at once, steps, pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sidestream.bench.bench import Bench, measured, record
from sidestream.bench.charts import bars
from sidestream.bench.clock import pace
from sidestream.config import BATCH_SIZES, SIZE_MULTIPLE, Size, StreamConfig
from sidestream.types import Pixels, Record

WIDE = Size(1024, 576)
SHOWN = ("fps", "step_fps", "latency_ms_p50", "latency_ms_p95", "frames")


class Point(NamedTuple):
    table: str
    row: str
    config: StreamConfig
    streams: int = 1


def run(bench: Bench) -> Iterator[Record]:
    yield from measure(bench, points(bench))


def measure(bench: Bench, asked: Iterable[Point]) -> Iterator[Record]:
    """Each table's figures are also given by those of its first row."""
    first: dict[str, float] = {}
    with bench.loaded() as stylizer:
        for point in asked:
            done = pace(measured(stylizer, point.config, bench.frames, streams=point.streams))
            fps = done["fps"]
            metrics = {
                **{name: done[name] for name in SHOWN},
                "fps_by_first": fps / first.setdefault(point.table, fps),
            }
            yield record(
                stylizer, point.table, point.row, metrics, point.config, streams=point.streams
            )


def points(bench: Bench) -> Iterator[Point]:
    few, config = bench.quick, bench.config()
    for batch in (1, 8) if few else BATCH_SIZES:
        yield Point("scaling batch", f"B = {batch}", replace(config, batch=batch))
    for streams in (1, 8) if few else (1, 2, 4, 8, 16):
        alone = replace(config, batch=1)
        yield Point("scaling streams", _several(streams), alone, streams)
    for steps in (1, 4) if few else (1, 2, 3, 4):
        yield Point("scaling steps", f"K = {steps}", replace(config, steps=steps))
    for size in sizes(bench):
        batch = 1 if few else bench.batch
        yield Point("scaling size", str(size), replace(config, size=size, batch=batch))


def sizes(bench: Bench) -> list[Size]:
    """Half of each side, the size itself, and a wide one."""
    whole = bench.size
    half = Size(
        *(
            max(side // 2 // SIZE_MULTIPLE, 1) * SIZE_MULTIPLE
            for side in (whole.width, whole.height)
        )
    )
    return list(dict.fromkeys((half, whole, WIDE)))


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    tables = dict.fromkeys(one.table for one in records)
    return {
        table.replace(" ", "-"): bars(
            f"{records[0].config['model']}: {table}",
            "frames a second",
            {one.row: {"fps": one.metrics["fps"]} for one in records if one.table == table},
        )
        for table in tables
    }


def _several(streams: int) -> str:
    return "1 stream" if streams == 1 else f"{streams} streams"
