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


def keep(path: Path, content: bytes, *, suffix: str, newest: int) -> None:
    """Writes it, if that can be done, and removes what was used longest ago of more than `newest` with that suffix."""
    with suppress(OSError):  # a disk that is full or not ours costs time, never the work
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=path.parent, suffix=".unfinished", delete=False) as unfinished:
            unfinished.write(content)
        Path(unfinished.name).replace(path)
        by_age = sorted(path.parent.glob(f"*{suffix}"), key=lambda one: one.stat().st_mtime)
        for old in by_age[:-newest]:
            old.unlink()


def kept(path: Path) -> bytes | None:
    """What is there, which counts as used now."""
    with suppress(OSError):
        content = path.read_bytes()
        path.touch()
        return content
    return None
