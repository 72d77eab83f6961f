"""How much memory a run takes, and whether that, or the time of a frame, grows with its length."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sidestream.bench.bench import Bench, record
from sidestream.bench.charts import curves
from sidestream.bench.footage import PROMPT, footage
from sidestream.config import StreamConfig
from sidestream.report import peak_memory_mb
from sidestream.stylizer import Stylizer
from sidestream.types import Pixels, Record

TABLE, OVER_TIME = "memory", "memory over time"
POINTS = 40
MB = 2**20
"""As report.py counts them."""


@dataclass(frozen=True)
class Point:
    """After so many frames."""

    frames: int
    seconds: float
    resident_mb: float
    device_mb: float


def run(bench: Bench) -> Iterator[Record]:
    config = bench.config()
    with bench.loaded() as stylizer:
        device = stylizer.built.device
        loaded = resident_mb()
        found = list(course(stylizer, config, bench.frames))
        metrics = {
            "loaded_mb": loaded,
            "peak_mb": peak_memory_mb(),
            "device_peak_mb": _device_mb(device, peak=True),
            **growth(found),
            "frames": found[-1].frames,
        }
        yield record(stylizer, TABLE, "run", metrics, config)
        for before, point in pairwise(found):
            metrics = {
                "resident_mb": point.resident_mb,
                "device_mb": point.device_mb,
                "frame_ms": _frame_ms((before, point)),
            }
            yield record(stylizer, OVER_TIME, str(point.frames), metrics, config)


def course(stylizer: Stylizer, config: StreamConfig, frames: int) -> Iterator[Point]:
    """Looks in now and then."""
    assert config.size is not None
    device, window = stylizer.built.device, max(frames // POINTS, 1)
    with stylizer.open(PROMPT, config) as opened:
        for number, _ in enumerate(opened.run(footage(config.size, frames)), 1):
            if number % window == 0:
                yield Point(number, time.perf_counter(), resident_mb(), _device_mb(device))


def growth(points: Sequence[Point]) -> dict[str, float]:
    """Of the second half, when all that a run needs is there; and how the last frames' time compares with early ones'."""
    late = points[len(points) // 2 :]
    if len(late) < 4:
        return {}
    frames = [point.frames for point in late]
    tenth = max(len(points) // 10, 1)
    early, last = _frame_ms(points[tenth : 2 * tenth + 1]), _frame_ms(points[-tenth - 1 :])
    return {
        "resident_mb_per_1000": 1000 * _slope(frames, [point.resident_mb for point in late]),
        "device_mb_per_1000": 1000 * _slope(frames, [point.device_mb for point in late]),
        "frame_ms_early": early,
        "frame_ms_last": last,
        "last_by_early": last / early,
    }


def resident_mb() -> float:
    """Of the process, now; where the system does not say, at most."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # pragma: no cover - not Linux
        return peak_memory_mb()
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    points = [one for one in records if one.table == OVER_TIME]
    if not points:
        return {}
    names = {"resident_mb": "resident", "device_mb": "on the device"}
    series = {
        name: [(float(one.row), one.metrics[metric]) for one in points]
        for metric, name in names.items()
        if any(one.metrics[metric] for one in points)
    }
    model, size = points[0].config["model"], points[0].config["stream"]["size"]
    times = {"time a frame": [(float(one.row), one.metrics["frame_ms"]) for one in points]}
    return {
        "over-time": curves(f"{model}, {size}: memory over time", "frames", "MB", series),
        "frame-time": curves(f"{model}, {size}: time of a frame over time", "frames", "ms", times),
    }


def _frame_ms(points: Sequence[Point]) -> float:
    first, last = points[0], points[-1]
    return 1000 * (last.seconds - first.seconds) / (last.frames - first.frames)


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    return float(np.polyfit(xs, ys, 1)[0])


def _device_mb(device: torch.device, *, peak: bool = False) -> float:
    if device.type != "cuda":
        return 0.0
    taken = (
        torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated
    )  # pragma: no cover - cuda
    return taken(device) / MB  # pragma: no cover - cuda
