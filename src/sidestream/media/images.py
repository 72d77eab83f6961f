"""Folders and numbered series of pictures, as one video."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.errors import SourceError
from sidestream.media.decode import Decoder

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"))
RATE = Fraction(25)
"""Pictures have no times; this is also what FFmpeg takes them for."""
PATTERN = re.compile(r"%0?(\d*)d")


def find_pictures(path: Path) -> list[Path] | None:
    """The pictures of a folder or of a pattern such as img_%04d.png, in the order of their numbers.

    None if the path is neither.
    """
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
        return sorted(found, key=_natural)
    if path.exists() or not PATTERN.search(path.name):
        return None
    head, tail = (re.escape(part) for part in re.split(PATTERN.pattern, path.name, maxsplit=1)[::2])
    numbered = re.compile(rf"{head}\d+{tail}")
    files = path.parent.iterdir() if path.parent.is_dir() else ()
    return sorted((file for file in files if numbered.fullmatch(file.name)), key=_natural)


class Pictures:
    """A Feed that opens one picture after the other; one that cannot be read is left out."""

    def __init__(self, paths: Sequence[Path], open_one: Callable[[Path], Decoder]) -> None:
        self._paths, self._open_one = paths, open_one
        self.rate, self.time_base = RATE, 1 / RATE
        self.origin = 0
        self.stretch = Fraction(1)
        self.count: int | None = len(paths)
        self.seconds: float | None = float(len(paths) / RATE)
        self.packets = 0
        self.failures = 0

    def pictures(self, start: int) -> Iterator[VideoFrame]:
        for position, path in enumerate(self._paths[start:], start):
            self.packets += 1
            picture = self._picture(path)
            if picture is None:
                self.failures += 1
            else:
                picture.pts = position
                yield picture

    def close(self) -> None:
        """Nothing stays open between pictures."""

    def _picture(self, path: Path) -> VideoFrame | None:
        try:
            decoder = self._open_one(path)
        except SourceError:
            return None
        try:
            return next(decoder.pictures(0), None)
        finally:
            decoder.close()


def _natural(path: Path) -> list[tuple[int, str]]:
    """img_2 before img_10."""
    return [
        (int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)
    ]
