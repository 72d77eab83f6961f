"""The settings a file was made with, kept with it: in the container's comment, or in a file beside pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import cast

from sidestream.config import LIMITS, Limits
from sidestream.errors import SourceError
from sidestream.media.names import check_name
from sidestream.media.open import open_container

BESIDE = frozenset((".gif", ".png", ".jpg", ".jpeg"))
"""Kinds of file that hold no comment."""
IN_FOLDER = "settings.json"


def comment(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(metadata), ensure_ascii=False)


def write_settings(path: Path, metadata: Mapping[str, str]) -> None:
    """To a new file, or over an empty one that is being kept for it; never through a link."""
    text = json.dumps(dict(metadata), indent=2, ensure_ascii=False) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(text.encode())


def beside(path: Path) -> Path:
    """The file with the settings of a picture or of a folder of pictures."""
    return path / IN_FOLDER if path.is_dir() else path.with_name(f"{path.name}.json")


def read_metadata(path: str | PathLike[str], limits: Limits = LIMITS) -> dict[str, str]:
    """What was stored with a file that this package wrote; empty where nothing was."""
    check_name(path, SourceError)
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in BESIDE:
        place = beside(path)
        check_name(place, SourceError)
        return _parse(_read(place, limits), place, limits) if place.is_file() else {}
    with open_container(path) as container:
        found = {name.lower(): text for name, text in container.metadata.items()}
    text = found.get("comment", "")
    return _parse(text, path, limits) if text.startswith("{") else {}


def _read(path: Path, limits: Limits) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limits.max_sidecar_bytes + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as settings ({error})") from error


def _parse(text: str, path: Path, limits: Limits) -> dict[str, str]:
    if len(text.encode()) > limits.max_sidecar_bytes:
        raise SourceError(
            f"the settings in {path} are larger than {limits.max_sidecar_bytes} bytes: name another file"
        )
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"the settings in {path} are not JSON ({error})") from error
    if not isinstance(found, dict):
        raise SourceError(f"the settings in {path} must be a JSON object, of texts by name")
    settings = cast("dict[str, object]", found)
    texts = {name: value for name, value in settings.items() if isinstance(value, str)}
    if len(texts) < len(settings):
        raise SourceError(f"the settings in {path} must be a JSON object, of texts by name")
    return texts
