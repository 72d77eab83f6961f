"""Measurements as lines of JSON, and tables drawn from them: what reports are made of."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from sidestream.errors import SinkError
from sidestream.types import Record

FILE = "records.jsonl"
COMMIT = "SIDESTREAM_COMMIT"
"""Environment variable that names the commit where there is no repository, as in a copy of the source."""

Row = Sequence[str]


def clear(folder: Path, *names: str) -> None:
    """Empty files in place of what an earlier run left."""
    try:
        for path in (folder / name for name in names):
            path.unlink(missing_ok=True)
            path.touch()
    except OSError as error:
        raise SinkError(f"{folder} cannot be written to ({error.strerror})") from error


def append(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record), ensure_ascii=False, sort_keys=True) + "\n")


def write(path: Path, found: Iterable[Record]) -> None:
    """In place of what an earlier run left."""
    clear(path.parent, path.name)
    for record in found:
        append(path, record)


def read(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Record(**json.loads(line))


def commit(folder: Path) -> str | None:
    """The commit that is checked out in `folder`, `+` when there are changes; outside of a repository what COMMIT says."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get(COMMIT)
    return described.stdout.strip()


def table(head: Row, lines: Iterable[Row]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))
