"""Where an output goes: what is refused beforehand, the `.part` beside it, and its name once it is whole."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from sidestream.errors import ConfigError, SinkError
from sidestream.media.metadata import BESIDE, IN_FOLDER
from sidestream.media.movie import KINDS

LONGEST_NAME = 255
OURS = re.compile(rf"\d{{6,}}\.png|{re.escape(IN_FOLDER)}")
"""Files of a folder of pictures that may be replaced."""


@dataclass(frozen=True)
class Target:
    path: Path
    part: Path
    """What is written, until it is whole."""
    folder: bool
    overwrite: bool

    def begin(self) -> None:
        """Creates the part, which shows at once whether anything can be written there."""
        try:
            if self.folder:
                self.part.mkdir(exist_ok=True)
                _clear(self.part)
            else:
                self.part.write_bytes(b"")
        except OSError as error:
            raise SinkError(f"cannot write to {self.path.parent} ({error.strerror})") from error

    def publish(self) -> None:
        if not self.overwrite and _taken(self.path):
            raise SinkError(f"{self.path} came to exist meanwhile: the result is in {self.part}")
        if self.folder and self.path.is_dir():
            _clear(self.path)
            for file in self.part.iterdir():
                file.replace(self.path / file.name)
            self.part.rmdir()
        else:
            _sync(self.part)
            self.part.replace(self.path)
        _sync(self.path.parent)

    def discard(self) -> None:
        if self.folder:
            shutil.rmtree(self.part)
        else:
            self.part.unlink()


def target(
    path: str | PathLike[str], source: Path | None = None, *, overwrite: bool = False
) -> Target:
    """Decides what a path means and refuses what would lose something. Nothing is written yet."""
    name, path = os.fspath(path), Path(path)
    folder = name.endswith("/") or path.is_dir() or not path.suffix
    if not folder and path.suffix.lower() not in {*KINDS, *BESIDE}:
        raise ConfigError(
            f"{path} has the unknown ending {path.suffix}: use {', '.join(sorted({*KINDS, *BESIDE}))},"
            " or a name that ends in / for a folder of PNG"
        )
    if not path.parent.is_dir():
        raise SinkError(f"there is no folder {path.parent}: create it first")
    found = Target(path, _part(path, folder=folder), folder, overwrite)
    if source is not None and any(_same(source, place) for place in (path, found.part)):
        raise ConfigError(
            f"{path} would replace the input while it is read: give the output another name"
        )
    if folder and path.exists() and not path.is_dir():
        raise SinkError(
            f"{path} is a file and a folder is asked for: give another name or an ending"
        )
    if not overwrite and _taken(path):
        raise SinkError(f"{path} exists: give another name or ask to overwrite")
    return found


def _taken(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_symlink() or path.exists()


def _part(path: Path, *, folder: bool) -> Path:
    ending = ".part" if folder else f".part{path.suffix}"
    stem = path.name if folder else path.stem
    room = LONGEST_NAME - len(ending.encode())
    return path.with_name(os.fsdecode(os.fsencode(stem)[:room]) + ending)


def _same(source: Path, place: Path) -> bool:
    """Through links too. Writing to the folder that pictures are read from counts."""
    sources = (source, source.parent) if place.is_dir() else (source,)
    return place.exists() and any(one.exists() and place.samefile(one) for one in sources)


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        if OURS.fullmatch(file.name):
            file.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
