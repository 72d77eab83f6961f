"""What it spares to encode the text, or to rebuild the conditioning, less often than for every frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sidestream.bench.bench import Bench, measured, record
from sidestream.bench.charts import bars
from sidestream.bench.clock import Run, pace
from sidestream.config import Schedule, StreamConfig
from sidestream.types import Pixels, Record

TABLE = "refresh"
SHOWN = ("fps", "step_fps", "batch_gap_ms_p50", "batch_gap_ms_p95", "batch_gap_ms_p99")
SHARED = 8
"""Frames of a batch that share the text of its first."""


def run(bench: Bench) -> Iterator[Record]:
    with bench.loaded() as stylizer:
        for row, config in rows(bench, conditioned=stylizer.built.engine.steadied):
            done = measured(stylizer, config, bench.frames)
            yield record(stylizer, TABLE, row, _metrics(done), config)


def rows(bench: Bench, *, conditioned: bool) -> Iterator[tuple[str, StreamConfig]]:
    """One frame a batch unless asked otherwise: a batch refreshes as a whole, so that a shorter interval says nothing."""
    config = replace(bench.config(), batch=bench.stream.batch or 1)
    base = replace(config.schedule, text_every=1, cond_every=1, text_first_frame_only=False)
    intervals = (4, 16) if bench.quick else (2, 4, 8, 16, 64)

    def having(schedule: Schedule) -> StreamConfig:
        return replace(config, schedule=schedule)

    yield "everything for every frame", having(base)
    for every in intervals:
        yield f"text every {every}", having(replace(base, text_every=every))
    for every in intervals if conditioned else ():
        yield f"conditioning every {every}", having(replace(base, cond_every=every))
    for every in intervals if conditioned else ():
        yield f"both every {every}", having(replace(base, text_every=every, cond_every=every))
    for first_only in (False, True):
        name = f"B = {SHARED}, text of {'the first frame' if first_only else 'every frame'}"
        schedule = replace(base, text_first_frame_only=first_only)
        yield name, replace(having(schedule), batch=SHARED)


def _metrics(done: Run) -> dict[str, float]:
    found, frames = pace(done), len(done.steady)
    spans = done.report.spans_ms
    written = spans["conditioning"].count if "conditioning" in spans else 0
    return {
        **{name: found[name] for name in SHOWN if name in found},
        "encoded_per_frame": done.report.encoder_calls / frames,
        "flow_ms_per_frame": spans["flow"].ms * spans["flow"].count / frames
        if "flow" in spans
        else 0,
        "conditioning_ms_per_frame": spans["conditioning"].ms * written / frames if written else 0,
    }


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    if not records:
        return {}
    groups = {one.row: {"fps": one.metrics["fps"]} for one in records}
    title = (
        f"{records[0].config['model']}, {records[0].config['stream']['size']}: refreshed less often"
    )
    return {"refresh": bars(title, "frames a second", groups)}
