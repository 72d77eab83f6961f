"""How a model keeps up over a long run: frames a second, how evenly they come, how old they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sidestream.bench.bench import Bench, measured, record
from sidestream.bench.charts import curves
from sidestream.bench.clock import Run, Timeline, pace
from sidestream.types import Pixels, Record

TABLE, OVER_TIME = "sustained", "sustained over time"
WINDOW = 16
"""Frames, or a batch if that is more, that one point of a curve is the mean of."""


def run(bench: Bench) -> Iterator[Record]:
    config = bench.config()
    with bench.loaded() as stylizer:
        done = measured(stylizer, config, bench.frames, rate=bench.rate)
        yield record(stylizer, TABLE, "warm-up", warm_up(done), config)
        yield record(stylizer, TABLE, "steady", pace(done), config, rate=bench.rate)
        for row, metrics in over_time(done.steady):
            yield record(stylizer, OVER_TIME, row, metrics, config)


def warm_up(done: Run) -> dict[str, float]:
    """What a stream's first batches take, compiling included where that is asked for."""
    return {
        "first_frame_ms": done.warm_up.latencies_ms[0],
        "fps": len(done.warm_up) / done.warm_up.seconds,
        "frames": len(done.warm_up),
    }


def over_time(steady: Timeline) -> Iterator[tuple[str, dict[str, float]]]:
    """Milliseconds a frame and age, window by window; the row is the frame that a window begins with."""
    window = max(WINDOW, steady.together)
    for start in range(0, len(steady) - window + 1, window):
        part = steady.part(start, start + window)
        since = steady.given[start - 1] if start else min(steady.taken)
        yield (
            str(start),
            {
                "frame_ms": 1000 * (part.given[-1] - since) / window,
                "latency_ms": sum(part.latencies_ms) / window,
            },
        )


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    points = [one for one in records if one.table == OVER_TIME]
    if not points:
        return {}
    model, size = points[0].config["model"], points[0].config["stream"]["size"]
    series = {
        label: [(float(one.row), one.metrics[metric]) for one in points]
        for metric, label in (("frame_ms", "time a frame"), ("latency_ms", "latency"))
    }
    return {"over-time": curves(f"{model}, {size}: a run over time", "frames", "ms", series)}
