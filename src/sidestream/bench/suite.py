"""What can be measured, by name; and how a folder is filled with records, charts and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidestream import records
from sidestream.bench import baseline, memory, profile, refresh, scaling, sustained
from sidestream.bench.bench import Bench
from sidestream.bench.report import document
from sidestream.media.stills import save
from sidestream.types import Pixels, Record

REPORT = "report.md"


@dataclass(frozen=True)
class Experiment:
    title: str
    about: str
    run: Callable[[Bench], Iterator[Record]]
    charts: Callable[[Sequence[Record]], Mapping[str, Pixels]]
    """By name, from records alone."""
    frames: int
    """Of each run that is measured, where none are asked for."""
    quick: int
    """The same for a quick look."""


EXPERIMENTS: Mapping[str, Experiment] = {
    "baseline": Experiment(
        "Beside other loops",
        "The paper's loop is a re-implementation from a description of what its public code does when; diffusers is the"
        " library's own pipeline, frame by frame. All run in one process, in turns; a ratio is the median of neighbouring"
        " turns, with the smallest and the largest. fps: whole loops. step_fps: conditioning, denoising and decoding"
        " alone, which is how the paper counts. Equal: same steps, number format and picture for the encoder, no adapter.",
        baseline.run,
        baseline.charts,
        frames=48,
        quick=8,
    ),
    "sustained": Experiment(
        "A long run",
        "fps: frames by wall time of the whole loop. step_fps: frames by the time of conditioning, denoising, decoding"
        " and finishing alone. Gaps: between frames that come out, and between the last ones of batches. Latency: from"
        " when the loop takes a frame to when it comes out, as fast as the loop goes, so that its lanes are full; with --rate"
        " from when the frame was due.",
        sustained.run,
        sustained.charts,
        frames=480,
        quick=96,
    ),
    "profile": Experiment(
        "Where the time goes",
        "Stages are timed one after the other in one thread; in the loop they overlap. Work is that of one batch, counted"
        " as it is computed without compiling. The bound of a stage is the longer of two times: its arithmetic at the"
        " measured matrix rate, and its constants (weights, tables) read once at the measured bandwidth. Activations"
        " are what operations read and write one by one; fused kernels and caches spare some. Waits: operations whose"
        " result the host must see before it goes on.",
        profile.run,
        profile.charts,
        frames=64,
        quick=32,
    ),
    "scaling": Experiment(
        "What more costs",
        "Every row is a run of its own after a warm-up. Streams come a frame of each to a batch, and their fps is of all"
        " together. fps_by_first: by the first row of the table.",
        scaling.run,
        scaling.charts,
        frames=64,
        quick=8,
    ),
    "refresh": Experiment(
        "Refreshing less often",
        "Intervals count frames. encoded_per_frame: pictures that the text encoder looked at, by frames. Flow and"
        " conditioning are given in milliseconds by all frames, whether they refreshed or not.",
        refresh.run,
        refresh.charts,
        frames=128,
        quick=16,
    ),
    "memory": Experiment(
        "Memory",
        "loaded_mb: resident before the first frame; peak_mb: of the process. Growth is that of the run's second half,"
        " by 1000 frames. last_by_early: time of a frame in the last tenth, by that in the second.",
        memory.run,
        memory.charts,
        frames=4000,
        quick=400,
    ),
}


def perform(
    name: str,
    bench: Bench,
    folder: Path,
    told: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Fills a folder, replacing what an earlier run left; when it is stopped, with what there is by then."""
    experiment = EXPERIMENTS[name]
    records.clear(folder, records.FILE, REPORT)
    found: list[Record] = []
    try:
        for record in experiment.run(bench):
            records.append(folder / records.FILE, record)
            found.append(record)
            told(record)
    finally:
        pictures = {f"{chart}.png": drawn for chart, drawn in experiment.charts(found).items()}
        for file, pixels in pictures.items():
            save(folder / file, pixels)
        text = document(experiment.title, experiment.about, found, pictures)
        (folder / REPORT).write_text(text, "utf-8")
    return found
