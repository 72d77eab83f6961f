"""What is kept on disk between runs, because making it anew takes long: in one folder, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

VARIABLE = "SIDESTREAM_CACHE"


def folder(kind: str) -> Path:
    """Where things of one kind are kept; it need not exist yet."""
    own = os.environ.get(VARIABLE)
    everybodys = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(own) if own else Path(everybodys) / "sidestream") / kind


def keep(path: Path, content: bytes, *, suffix: str, most_bytes: int) -> None:
    """Writes it, if that can be done and is allowed; what was used longest ago goes, until all of that suffix fit."""
    if len(content) > most_bytes:
        return
    with suppress(OSError):  # a disk that is full or not ours costs time, never the work
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_whole(path, content)
        _make_room(path.parent, suffix, most_bytes)


def kept(path: Path) -> bytes | None:
    """What is there, which counts as used now."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):  # read only
        path.touch()
    return content


def _write_whole(path: Path, content: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, suffix=".unfinished", delete=False) as unfinished:
        part = Path(unfinished.name)
        try:
            unfinished.write(content)
            unfinished.flush()
            part.replace(path)
        except OSError:
            part.unlink()
            raise


def _make_room(folder: Path, suffix: str, most_bytes: int) -> None:
    known = [(one, one.stat()) for one in folder.glob(f"*{suffix}")]
    taken = 0
    for path, about in sorted(known, key=lambda one: one[1].st_mtime, reverse=True):
        taken += about.st_size
        if taken > most_bytes:
            path.unlink()
