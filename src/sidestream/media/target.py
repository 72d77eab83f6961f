"""Where an output goes: what is refused beforehand, the `.part` beside it, and its name once it is whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import EEXIST, ENOTDIR, ENOTEMPTY
from itertools import count
from os import PathLike
from pathlib import Path

from sidestream.errors import ConfigError, SinkError, SourceError
from sidestream.media.metadata import BESIDE, IN_FOLDER, beside
from sidestream.media.movie import KINDS
from sidestream.media.names import check_name

LONGEST_NAME = 255
OURS = re.compile(rf"\d{{6,}}\.png|{re.escape(IN_FOLDER)}")
"""Files of a folder of pictures that may be replaced."""
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TAKEN = (EEXIST, ENOTDIR, ENOTEMPTY)
"""What renaming says where something else has the name by now."""
SAME_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Target:
    path: Path
    folder: bool
    overwrite: bool

    def begin(self) -> Part:
        """Creates a part of its own, which shows at once whether anything can be written there."""
        numbers = count(1)
        while True:
            path = self._part(next(numbers))
            try:
                if self.folder:
                    path.mkdir()
                else:
                    _create(path)
            except FileExistsError:
                continue
            except OSError as error:
                raise SinkError(f"cannot write to {path.parent} ({error.strerror})") from error
            return Part(self, path)

    def settings(self) -> Target | None:
        """Where the settings go, for a file that cannot hold them."""
        if self.folder or self.path.suffix.lower() not in BESIDE:
            return None
        return replace(self, path=beside(self.path))

    def _part(self, number: int) -> Path:
        """out.part.mp4, and out.2.part.mp4 where that is another's."""
        path = self.path
        stem, suffix = (path.name, "") if self.folder else (path.stem, path.suffix)
        ending = f".part{suffix}" if number == 1 else f".{number}.part{suffix}"
        room = LONGEST_NAME - len(os.fsencode(ending))
        return path.with_name(os.fsencode(stem)[:room].decode(errors="ignore") + ending)


@dataclass(frozen=True)
class Part:
    """What is written, until it is whole. Nobody else has the file or folder `path`."""

    target: Target
    path: Path

    def publish(self) -> None:
        """Gives it its name. What has the name is replaced only where that was asked for; no link is followed."""
        place = self.target.path
        _sync(self.path)
        try:
            if self.target.overwrite and self.target.folder and place.is_dir():
                _move_into(place, self.path)
            elif self.target.overwrite or self.target.folder:
                self.path.rename(place)  # a folder takes the place of an empty one only
            else:
                rename_new(self.path, place)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            raise SinkError(
                f"{place} came to exist meanwhile: what was written is in {self.path}"
            ) from error
        _sync(place.parent)

    def discard(self) -> None:
        if self.target.folder:
            shutil.rmtree(self.path)
        else:
            self.path.unlink()


def target(
    path: str | PathLike[str], source: Path | None = None, *, overwrite: bool = False
) -> Target:
    """Decides what a path means and refuses what would lose something. Nothing is written yet."""
    check_name(path, SinkError)
    folder, path = is_folder(path), Path(path)
    if folder and path.name in ("", ".."):
        path = path.resolve()
    if not folder and path.suffix.lower() not in {*KINDS, *BESIDE}:
        raise ConfigError(
            f"{path} has the unknown ending {path.suffix}: use {', '.join(sorted({*KINDS, *BESIDE}))},"
            " or a name that ends in / for a folder of PNG"
        )
    if not path.parent.is_dir():
        raise SinkError(f"there is no folder {path.parent}: create it first")
    if source is not None:
        check_name(source, SourceError)
        if _same(source, path):
            raise ConfigError(
                f"{path} would replace the input while it is read: give the output another name"
            )
    if folder and (path.is_symlink() or (path.exists() and not path.is_dir())):
        raise SinkError(
            f"{path} is a file or a link and a folder is asked for: give another name or an ending"
        )
    found = Target(path, folder, overwrite)
    settings = found.settings()
    for place in (path, *((settings.path,) if settings else ())):
        check_name(place, SinkError)
        if not overwrite and _taken(place):
            raise SinkError(f"{place} exists: give another name or --overwrite")
    return found


def is_folder(path: str | PathLike[str]) -> bool:
    """Whether pictures go into a folder of this name."""
    return os.fspath(path).endswith("/") or Path(path).is_dir() or not Path(path).suffix


def _taken(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_symlink() or path.exists()


def _same(source: Path, place: Path) -> bool:
    """Through links too. Writing to the folder that pictures are read from counts."""
    sources = (source, source.parent) if place.is_dir() else (source,)
    return place.exists() and any(one.exists() and place.samefile(one) for one in sources)


def _create(path: Path) -> None:
    os.close(os.open(path, NEW_FILE, 0o666))


def rename_new(part: Path, place: Path, link: Callable[[Path, Path], None] = os.link) -> None:
    """Renames a file without replacing, which `rename` cannot."""
    try:
        link(part, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: an empty file holds the name for a moment
        _create(place)
        part.rename(place)
    else:
        part.unlink()


def _move_into(folder: Path, part: Path) -> None:
    """By the folder's handle, so that no link can take its place on the way."""
    handle = os.open(folder, SAME_FOLDER)
    try:
        with os.scandir(handle) as found:
            ours = [entry.name for entry in found if OURS.fullmatch(entry.name)]
        for name in ours:
            os.unlink(name, dir_fd=handle)
        for file in part.iterdir():
            os.replace(file, file.name, dst_dir_fd=handle)
        part.rmdir()
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
