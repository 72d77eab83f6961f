"""Pictures as files: one, or a numbered folder of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sidestream.errors import SinkError
from sidestream.media.metadata import IN_FOLDER, write_settings
from sidestream.types import Frame, Pixels

ONE_FRAME = "a picture file holds one frame and the source has more: give a folder (ending in /) or a video file"


class PictureWriter:
    """Exactly one picture."""

    def __init__(self, path: Path) -> None:
        self._path, self._written = path, False
        self.warnings: list[str] = []

    def add(self, pixels: Pixels, frame: Frame) -> None:
        if self._written:
            raise SinkError(ONE_FRAME)
        _save(self._path, pixels)
        self._written = True

    def close(self) -> None:
        """The picture is already on disk."""


class FolderWriter:
    """A PNG a frame, numbered from 0 in the order of writing, and the settings."""

    def __init__(self, folder: Path, metadata: Mapping[str, str]) -> None:
        self._folder, self._count = folder, 0
        self.warnings: list[str] = []
        write_settings(folder / IN_FOLDER, metadata)

    def add(self, pixels: Pixels, frame: Frame) -> None:
        _save(self._folder / f"{self._count:06d}.png", pixels)
        self._count += 1

    def close(self) -> None:
        """Every picture is already on disk."""


def save(path: Path, pixels: Pixels) -> None:
    """A picture of a report."""
    try:
        _save(path, pixels)
    except OSError as error:
        raise SinkError(f"{path} could not be written ({error.strerror})") from error


def _save(path: Path, pixels: Pixels) -> None:
    import cv2

    _, data = cv2.imencode(path.suffix, pixels[..., ::-1])
    path.write_bytes(data.tobytes())
