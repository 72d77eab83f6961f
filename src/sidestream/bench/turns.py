"""Loops that take turns at one clip, in memory or from file to file, each under the same two clocks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from sidestream.bench.footage import PROMPT, footage
from sidestream.config import Size, StreamConfig
from sidestream.media.open import open_source
from sidestream.media.sink import open_sink
from sidestream.recipe import FileOptions, Recipe
from sidestream.report import Meter, Report
from sidestream.restyle import restyle
from sidestream.stylizer import Stylizer
from sidestream.types import Controls, Frame, Pixels, Plan, Styled

RATE = 24


@dataclass(frozen=True)
class Turn:
    """What one loop took for the clip."""

    seconds: float
    """The whole loop."""
    render_seconds: float
    """The render call alone, which is what the paper's figures count; all of it where nothing is apart."""


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames that all loops restyle, in memory or in a file."""

    size: Size
    frames: Sequence[Frame]
    path: Path | None = None
    out: Path | None = None


def in_turns(loops: Mapping[str, Callable[[], Turn]], rounds: int) -> dict[str, list[Turn]]:
    """Everybody once a round; a first round, which warms all up, does not count."""
    turns: dict[str, list[Turn]] = {name: [] for name in loops}
    for number in range(1 + rounds):
        for name, run in loops.items():
            turn = run()
            if number:
                turns[name].append(turn)
    return turns


def ours(stylizer: Stylizer, config: StreamConfig, clip: Clip) -> Turn:
    return _of(_report(stylizer, config, clip))


def _report(stylizer: Stylizer, config: StreamConfig, clip: Clip) -> Report:
    if clip.path and clip.out:
        recipe = Recipe(prompt=PROMPT, stream=config, loading=stylizer.built.config)
        return restyle(stylizer, clip.path, clip.out, recipe, FileOptions(overwrite=True))
    meter = Meter(stylizer.built)
    with stylizer.open(PROMPT, config) as opened:
        count = sum(1 for _ in opened.run(clip.frames))
    return meter.report(count, expected=count, configuration={}, warnings=(), stopped=False)


def _of(report: Report) -> Turn:
    return Turn(report.wall_seconds, report.frames_out / report.step_fps)


def others(loop: Callable[[Iterable[Frame]], Iterator[Pixels]], clip: Clip) -> Turn:
    """One after the other: decode, restyle, encode, as these loops' own programs do."""
    start = time.perf_counter()
    if clip.path and clip.out:
        with open_source(clip.path) as source, _sink(clip.out, clip.size) as write:
            for frame, pixels in zip(clip.frames, loop(source), strict=False):
                write(frame, pixels)
    else:
        for _ in loop(clip.frames):
            pass
    seconds = time.perf_counter() - start
    return Turn(seconds, seconds)


@contextmanager
def clip_of(size: Size, count: int, *, file_to_file: bool) -> Generator[Clip]:
    frames = [
        Frame(pixels, index, Fraction(1, RATE), index)
        for index, pixels in enumerate(footage(size, count))
    ]
    if not file_to_file:
        yield Clip(size, frames)
        return
    with tempfile.TemporaryDirectory() as folder:
        path, out = (Path(folder, name) for name in ("clip.mp4", "out.mp4"))
        with _sink(path, size) as write:
            for frame in frames:
                write(frame, frame.pixels)
        yield Clip(size, frames, path, out)


@contextmanager
def _sink(path: Path, size: Size) -> Generator[Callable[[Frame, Pixels], None]]:
    plan = Plan(1, size, "per_frame", "none", 0)
    with open_sink(path, size=size, rate=Fraction(RATE), metadata={}, overwrite=True) as sink:

        def write(frame: Frame, pixels: Pixels) -> None:
            shown = replace(frame, pixels=pixels)
            sink.write(Styled(shown, frame, plan, Controls(prompt=PROMPT)))

        yield write
