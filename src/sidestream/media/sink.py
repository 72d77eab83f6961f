"""VideoSink: restyled frames into a file that appears under its name only when it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from sidestream.config import LIMITS, Limits, Size
from sidestream.errors import ConfigError, SinkError
from sidestream.media.gif import GifWriter
from sidestream.media.metadata import write_settings
from sidestream.media.movie import KINDS, MovieWriter, Picture, faststart
from sidestream.media.pixels import resize
from sidestream.media.stills import ONE_FRAME, FolderWriter, PictureWriter
from sidestream.media.target import Part, Target, is_folder, target
from sidestream.types import Frame, Pixels, Styled

FASTSTART = (".mp4", ".mov")
PICTURES = (".png", ".jpg", ".jpeg")


class Writer(Protocol):
    """What knows one kind of file."""

    warnings: list[str]

    def add(self, pixels: Pixels, frame: Frame) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a result is written."""

    size: Size
    compare: bool = False
    """Input and output next to each other."""
    keep: bool = False
    """What is whole is kept when an error or an interrupt ends the run."""
    faststart: bool = False
    """Moves the index to the front once all is written."""
    metadata: Mapping[str, str]
    min_free_bytes: int = LIMITS.min_free_bytes


class VideoSink:
    """A seams.Sink. Owns the writer and the unfinished file; leaves nothing behind unless told to keep it."""

    def __init__(
        self, part: Part, writer: Writer, output: Output, free: Callable[[Path], int]
    ) -> None:
        self.frames = 0
        self._part, self._writer, self._output = part, writer, output
        self._free = free
        self._open = True

    @property
    def warnings(self) -> list[str]:
        return self._writer.warnings

    def write(self, styled: Styled) -> None:
        pixels = resize(styled.pixels, self._output.size)
        if self._output.compare:
            pixels = np.hstack((resize(styled.source.pixels, self._output.size), pixels))
        self.add(pixels, styled.frame)

    def add(self, pixels: Pixels, frame: Frame) -> None:
        """A picture as large as the output, at the time of the frame."""
        if self._free(self._part.path.parent) < self._output.min_free_bytes:
            self.close()
            raise SinkError(
                f"{self._part.path.parent} is nearly full: the {self.frames} frames written until now are in"
                f" {self._part.target.path}"
            )
        with self.disk():
            self._writer.add(pixels, frame)
        self.frames += 1

    def close(self) -> None:
        """Finishes the file and gives it its name. Without a frame there is no file."""
        if not self._open:
            return
        if not self.frames:
            self.discard()
            return
        self._open = False
        try:
            with self.disk():
                self._writer.close()
                if self._output.faststart:
                    self._move_index()
                self._publish()
        except (KeyboardInterrupt, SystemExit):  # told twice to stop; after an error it is kept
            with suppress(OSError):
                self._part.discard()
            raise

    def discard(self) -> None:
        """Leaves nothing behind."""
        from av.error import FFmpegError

        if self._open:
            self._open = False
            with suppress(OSError, FFmpegError):
                self._writer.close()
            with suppress(OSError):
                self._part.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or self._output.keep:
            self.close()
        else:
            self.discard()

    def _move_index(self) -> None:
        copy = self._part.target.begin()
        try:
            faststart(self._part.path, copy.path)
        except BaseException:
            copy.discard()
            raise
        self._part.discard()
        self._part = copy

    def _publish(self) -> None:
        """A folder has its settings from the beginning, a movie inside; other pictures have them beside."""
        place = self._part.target.settings() if self._output.metadata else None
        if place is None:
            self._part.publish()
            return
        settings = place.begin()
        write_settings(settings.path, self._output.metadata)
        self._part.publish()
        settings.publish()

    @contextmanager
    def disk(self) -> Generator[None]:
        """What cannot be written ends the sink. What is whole is left in the part: it may be hours of work."""
        from av.error import FFmpegError

        try:
            yield
        except (OSError, FFmpegError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            what = f"{self._part.target.path} could not be written ({reason})"
            if not self.frames:
                self.discard()
                raise SinkError(what) from error
            if self._open:
                self._open = False
                with suppress(OSError, FFmpegError):
                    self._writer.close()
            raise SinkError(
                f"{what}: what is whole of {self.frames} frames is in {self._part.path}"
            ) from error


def check_output(
    path: str | PathLike[str], *, expected_frames: int | None, faststart: bool
) -> None:
    """Refuses what the kind of file that the name asks for cannot hold or do."""
    suffix = "" if is_folder(path) else Path(path).suffix.lower()
    if faststart and suffix not in FASTSTART:
        raise ConfigError(f"faststart is for .mp4 and .mov, got {path}: leave it out")
    if suffix in PICTURES and expected_frames is not None and expected_frames > 1:
        raise SinkError(ONE_FRAME)


def open_sink(
    path: str | PathLike[str],
    *,
    size: Size,
    rate: Fraction,
    source_path: str | PathLike[str] | None = None,
    metadata: Mapping[str, str],
    overwrite: bool = False,
    faststart: bool = False,
    crf: int = 18,
    compare: bool = False,
    keep: bool = False,
    limits: Limits = LIMITS,
) -> VideoSink:
    """Opens a video (.mp4, .mov, .mkv, .webm), a .gif, a picture, or a folder of PNG (a name without ending, or ending in /).

    Pictures keep their time, counted from the first one written. Sound is taken from `source_path`, from that
    picture's time on. An existing output or the input itself is refused.
    """
    source = None if source_path is None else Path(source_path)
    place = target(path, source, overwrite=overwrite)
    check_output(path, expected_frames=None, faststart=faststart)
    output = Output(
        size=size,
        compare=compare,
        keep=keep,
        faststart=faststart,
        metadata=metadata,
        min_free_bytes=limits.min_free_bytes,
    )
    shown = Size(size.width * 2, size.height) if compare else size
    picture = Picture(shown, rate, crf)
    return sink_into(place, output, lambda part: _writer(part, picture, metadata, source), limits)


def sink_into(
    place: Target, output: Output, write: Callable[[Part], Writer], limits: Limits = LIMITS
) -> VideoSink:
    """A sink that writes a part of `place` with the writer that `write` makes for it."""
    part = place.begin()
    try:
        if _free_bytes(part.path.parent) < limits.min_free_bytes:
            raise SinkError(
                f"{part.path.parent} has less than {limits.min_free_bytes / 1e6:.0f} MB free: make room"
            )
        return VideoSink(part, write(part), output, _free_bytes)
    except BaseException:
        part.discard()
        raise


def _writer(
    part: Part, picture: Picture, metadata: Mapping[str, str], source: Path | None
) -> Writer:
    suffix = part.path.suffix.lower()
    if part.target.folder:
        return FolderWriter(part.path, metadata)
    if suffix in KINDS:
        heard = source if source is not None and source.is_file() else None
        return MovieWriter(part.path, picture, metadata, heard)
    if suffix == ".gif":
        return GifWriter(part.path, picture.size)
    return PictureWriter(part.path)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
