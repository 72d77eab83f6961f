"""What a run did and how fast, as one value that goes to JSON. fps is frames delivered by wall time of the whole loop."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidestream import __version__

if TYPE_CHECKING:
    import torch

    from sidestream.build import Built
    from sidestream.timing import Span

STEP = ("conditioning", "denoise", "decode", "join", "finish")
"""The spans that the paper's render-only figure counts."""
LIBRARIES = (
    "torch",
    "numpy",
    "diffusers",
    "transformers",
    "safetensors",
    "huggingface-hub",
    "opencv-python-headless",
    "av",
)


@dataclass(frozen=True)
class Mean:
    ms: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Report:
    frames_in: int
    """Frames that entered a batch."""
    frames_out: int
    """Frames that were written."""
    frames_expected: int | None
    """Where the source tells."""
    wall_seconds: float
    fps: float
    """Frames written by wall time of the whole loop, decoding and encoding of the file included."""
    step_fps: float
    """Frames by the time of conditioning, denoising, decoding of latents and finishing alone."""
    spans_ms: Mapping[str, Mean]
    refreshes: Mapping[str, int]
    """How often each reason made something be computed anew."""
    encoder_calls: int
    """Pictures that the text encoder looked at."""
    failed_frames: int
    """Frames that were not finite and show the last good one."""
    recompiles: int
    """Graphs that were compiled while it ran, the first ones included."""
    peak_memory_mb: float
    """Of the process, since it began."""
    configuration: Mapping[str, Any]
    environment: Mapping[str, Any]
    warnings: Sequence[str] = ()
    stopped: bool = False
    """Ended before its source did, because it was told to."""


@dataclass(frozen=True)
class Counts:
    """What an engine has counted since it was built."""

    spans: Mapping[str, Span]
    frames: int
    refreshes: Counter[str] = field(default_factory=Counter[str])
    encoded: int = 0
    failed: int = 0
    compiled: int = 0

    @classmethod
    def of(cls, built: Built) -> Counts:
        engine = built.engine
        return cls(
            engine.spans.sums(),
            engine.tally.frames,
            Counter(engine.tally.refreshes),
            engine.prepare.encoded,
            engine.render.failed,
            _compiled(),
        )


class Meter:
    """Measures one run, from now on, on an engine that may have run before. Other streams of it count too."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._before = Counts.of(built)
        self._start = time.perf_counter()

    def report(
        self,
        frames_out: int,
        *,
        expected: int | None,
        configuration: Mapping[str, Any],
        warnings: Sequence[str],
        stopped: bool,
    ) -> Report:
        wall = time.perf_counter() - self._start
        before, after = self._before, Counts.of(self._built)
        spans = _since(before.spans, after.spans)
        step = sum(spans[name].ms * spans[name].count for name in STEP if name in spans) / 1000
        return Report(
            frames_in=after.frames - before.frames,
            frames_out=frames_out,
            frames_expected=expected,
            wall_seconds=wall,
            fps=frames_out / wall,
            step_fps=frames_out / step if step else 0.0,
            spans_ms=spans,
            refreshes=dict(after.refreshes - before.refreshes),
            encoder_calls=after.encoded - before.encoded,
            failed_frames=after.failed - before.failed,
            recompiles=after.compiled - before.compiled,
            peak_memory_mb=peak_memory_mb(),
            configuration=configuration,
            environment=environment(self._built.device),
            warnings=tuple(warnings),
            stopped=stopped,
        )


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "sidestream": __version__,
        "python": platform.python_version(),
        **versions(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": f"{device.type} {name}".strip(),
    }


def processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # pragma: no cover - not Linux
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions(names: Iterable[str] = LIBRARIES) -> dict[str, str | None]:
    """Of installed packages, without importing them; None where one is missing."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def peak_memory_mb() -> float:
    # In kilobytes, but on macOS in bytes.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _since(before: Mapping[str, Span], after: Mapping[str, Span]) -> dict[str, Mean]:
    means: dict[str, Mean] = {}
    for name, span in after.items():
        count, seconds = span.count, span.seconds
        if name in before:
            count, seconds = count - before[name].count, seconds - before[name].seconds
        if count:
            means[name] = Mean(1000 * seconds / count, count)
    return means


def _compiled() -> int:
    """How many graphs there are in this process, of torch and of our own."""
    dynamo, vino = map(sys.modules.get, ("torch._dynamo.utils", "sidestream.models.openvino"))
    of_torch = 0 if dynamo is None else dynamo.counters["stats"]["unique_graphs"]
    return of_torch + (0 if vino is None else vino.made())
