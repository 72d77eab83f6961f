"""The moving pictures that a model is measured on: a folder's, or our own. All at one size, all in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from sidestream.config import Size
from sidestream.errors import SourceError
from sidestream.media.open import open_source
from sidestream.media.pixels import fit
from sidestream.scene import compare, thumbnail
from sidestream.synth import scenes, worlds
from sidestream.types import Frame, Pixels

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif")
CUT = "cut_"
"""What the name of a clip with one scene cut begins with: such are measured for ghosts alone."""
LONGEST = 240
"""Frames that are taken of a clip."""
WINDOW = 24
"""Consecutive frames that are measured of one stream."""
LEAD = 8
"""Frames that a stream runs before it is measured: its first batch has nothing before it to hold on to."""
AROUND_CUT = 12
"""Frames taken before a cut, and after it."""
WORLDS = range(2**33, 2**33 + 4)
"""Seeds that no training draws from."""
RATE = Fraction(24)


@dataclass(frozen=True, eq=False)
class Window:
    frames: Sequence[Pixels]
    lead: int
    """How many of them are not measured."""

    def measured(self, pictures: Sequence[Pixels]) -> Sequence[Pixels]:
        """Of pictures made from its frames."""
        return pictures[self.lead :]


@dataclass(frozen=True, eq=False)
class Clip:
    name: str
    frames: Sequence[Pixels]
    path: Path | None = None
    """The file it was read from."""

    @property
    def is_cut(self) -> bool:
        return self.name.startswith(CUT)

    def stills(self, count: int) -> list[Pixels]:
        """Evenly spaced over the clip."""
        return [self.frames[index] for index in _spaced(len(self.frames), count)]

    def windows(self, count: int) -> list[Window]:
        """Evenly spaced runs of consecutive frames, `count` measured frames in all where there are as many."""
        number = max(1, round(count / WINDOW))
        lead = min(LEAD, len(self.frames) // 2)
        length = min(lead + count // number, len(self.frames))
        room = len(self.frames) - length
        starts = [room // 2] if number == 1 else _spaced(room + 1, number)
        return [Window(self.frames[start : start + length], lead) for start in starts]

    def around_cut(self) -> tuple[list[Frame], list[Frame]]:
        """The frames before and after the frame that the ones before explain least."""
        cells = [thumbnail(pixels) for pixels in self.frames]
        changes = [compare(*pair).unexplained for pair in pairwise(cells)]
        cut = changes.index(max(changes)) + 1
        first, last = max(0, cut - AROUND_CUT), cut + AROUND_CUT
        frames = [
            Frame(pixels, first + index, 1 / RATE, first + index)
            for index, pixels in enumerate(self.frames[first:last])
        ]
        return frames[: cut - first], frames[cut - first :]


def load(folder: Path, size: Size) -> list[Clip]:
    """Every video of a folder, in the order of the names."""
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}: give one that holds video clips")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not any(not path.name.startswith(CUT) for path in paths):
        raise SourceError(
            f"{folder} holds no clips to measure on: give a folder with {', '.join(SUFFIXES)} files"
        )
    return [_read(path, size) for path in paths]


def rendered(size: Size, frames: int = 48) -> list[Clip]:
    """Worlds that nothing was trained on, and the demo clip with its cut."""
    clips = [
        Clip(f"world-{number}", [one.pixels for one in worlds.clip(seed, size, frames, cuts=False)])
        for number, seed in enumerate(WORLDS, 1)
    ]
    demo = scenes.demo_clip(size, 2 * AROUND_CUT / int(RATE), int(RATE))
    return [*clips, Clip(f"{CUT}demo", [frame.pixels for frame in demo])]


def with_cut(clips: Sequence[Clip]) -> list[Clip]:
    """Those with a cut; where there is none, one joined from the ends of two clips."""
    found = [clip for clip in clips if clip.is_cut]
    if found:
        return found
    one, other = clips[0].frames[-AROUND_CUT:], clips[-1].frames[:AROUND_CUT]
    if len(clips) == 1:
        other = [np.ascontiguousarray(pixels[::-1]) for pixels in other]
    name = f"{CUT}{clips[0].name}-{clips[-1].name}"
    return [Clip(name, [*one, *other])]


def _read(path: Path, size: Size) -> Clip:
    with open_source(path) as source:
        frames = [fit(frame.pixels, size) for frame in islice(source, LONGEST)]
    if len(frames) < 2:
        raise SourceError(f"{path} is one picture and clips move: take it out of the folder")
    return Clip(path.stem, frames, path)


def _spaced(length: int, count: int) -> list[int]:
    """At most `count` places of `length`, the first and the last among them."""
    count = min(count, length)
    return [index * (length - 1) // max(1, count - 1) for index in range(count)]
