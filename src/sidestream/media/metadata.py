"""The settings a file was made with, kept with it: in the container's comment, or in a file beside pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from sidestream.media.open import open_container

BESIDE = frozenset((".gif", ".png", ".jpg", ".jpeg"))
"""Kinds of file that hold no comment."""
IN_FOLDER = "settings.json"


def comment(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(metadata), ensure_ascii=False)


def write_beside(path: Path, metadata: Mapping[str, str]) -> None:
    text = json.dumps(dict(metadata), indent=2, ensure_ascii=False)
    _beside(path).write_text(text + "\n", "utf-8")


def read_metadata(path: str | PathLike[str]) -> dict[str, str]:
    """What was stored with a file that this package wrote; empty for any other."""
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in BESIDE:
        beside = _beside(path)
        return _parse(beside.read_text("utf-8")) if beside.is_file() else {}
    with open_container(path) as container:
        for name, text in container.metadata.items():
            if name.lower() == "comment":
                return _parse(text)
    return {}


def _beside(path: Path) -> Path:
    return path / IN_FOLDER if path.is_dir() else path.with_name(f"{path.name}.json")


def _parse(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return (
        {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    )
