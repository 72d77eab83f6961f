"""Pictures and sound into a container while they happen: a file, or a server that it is pushed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sidestream.config import LIMITS, Limits
from sidestream.errors import ConfigError, SinkError
from sidestream.media.address import Address
from sidestream.media.capture import SOUND_RATE
from sidestream.media.metadata import comment
from sidestream.media.movie import (
    H264,
    KINDS,
    WRITTEN_AT_ONCE,
    Kind,
    Picture,
    add_video,
    encodable,
    even,
)
from sidestream.media.sink import Output, VideoSink, sink_into
from sidestream.media.target import Part, target
from sidestream.types import Frame, Pixels

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

# No pictures held back, and no more bits in a second than a line can take.
PUSHED = {"preset": "veryfast", "tune": "zerolatency", "maxrate": "6000k", "bufsize": "3000k"}
# Close to the source and quick to write: what is rendered from it later starts from these pictures.
MEZZANINE = {"preset": "ultrafast", "bf": "0"}
MEZZANINE_CRF = 8
FILES = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True)
class Broadcast:
    """How a show is written."""

    picture: Picture
    time_base: Fraction
    sound: bool


class LiveMovie:
    """A sink.Writer with sound. Owns the container; times count from the first picture.

    A server is connected to at once; a file begins with its first picture, since a fragmented one that never had
    any cannot be closed.
    """

    def __init__(
        self,
        place: str,
        kind: Kind,
        broadcast: Broadcast,
        *,
        form: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        import av

        self.warnings: list[str] = []
        self._size = even(broadcast.picture.size)
        self._container = av.open(place, "w", format=form, container_options=dict(kind.container))
        if metadata:
            self._container.metadata["comment"] = comment(metadata)
        shown = replace(broadcast.picture, size=self._size)
        self._video = add_video(self._container, kind, shown, broadcast.time_base)
        self._audio = self._add_sound() if broadcast.sound else None
        self._time_base = broadcast.time_base
        self._origin: Fraction | None = None
        self._last, self._heard = -1, False
        if form is not None:
            self._container.start_encoding()

    def add(self, pixels: Pixels, frame: Frame) -> None:
        time = frame.pts * frame.time_base
        if self._origin is None:
            self._origin = time
        picture = encodable(pixels, self._size)
        self._last = max(self._last + 1, round((time - self._origin) / self._time_base))
        picture.pts, picture.time_base = self._last, self._time_base
        self._container.mux(self._video.encode(picture))

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        """Sound that begins at this time, on the scale of the frames. Before the first picture there is none."""
        from av.audio.frame import AudioFrame

        if self._audio is None or self._origin is None:
            return
        place = round((seconds - float(self._origin)) * SOUND_RATE)
        samples, place = samples[:, max(0, -place) :], max(0, place)
        if samples.shape[1]:
            heard = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
            heard.sample_rate, heard.pts = SOUND_RATE, place
            heard.time_base = Fraction(1, SOUND_RATE)
            self._heard = True
            self._container.mux(self._audio.encode(heard))

    def close(self) -> None:
        try:
            if self._origin is not None:
                self._container.mux(self._video.encode())
            if (
                self._audio is not None and self._heard
            ):  # flushing an encoder that had nothing crashes
                self._container.mux(self._audio.encode())
        finally:
            self._container.close()

    def _add_sound(self) -> AudioStream:
        from av.audio.stream import AudioStream as Stream

        audio = self._container.add_stream("aac", SOUND_RATE, layout="stereo")
        assert isinstance(audio, Stream)
        return audio


def open_movie(
    path: str | PathLike[str],
    broadcast: Broadcast,
    *,
    metadata: Mapping[str, str],
    options: Mapping[str, str] = H264,
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> tuple[VideoSink, LiveMovie]:
    """A file for a show, .mp4, .mov or .mkv: the sink, which guards it, and the writer, which takes sound too."""
    check_movie(path)
    place = target(path, overwrite=overwrite)
    movies: list[LiveMovie] = []

    def write(part: Part) -> LiveMovie:
        known = KINDS[part.path.suffix.lower()]
        kind = replace(known, container={**known.container, **WRITTEN_AT_ONCE}, options=options)
        movies.append(LiveMovie(str(part.path), kind, broadcast, metadata=metadata))
        return movies[0]

    output = Output(size=broadcast.picture.size, keep=True, metadata=metadata)
    return sink_into(place, output, write, limits), movies[0]


def check_movie(path: str | PathLike[str]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in FILES:
        raise ConfigError(
            f"{path} has the ending {suffix or 'of a folder'}: live video goes into {', '.join(FILES)}"
        )


def open_push(address: Address, broadcast: Broadcast) -> LiveMovie:
    """Connects to a server; its address is in no message but without password and key."""
    from av.error import FFmpegError

    scheme = address.value.partition(":")[0].lower()
    form = "rtsp" if scheme.startswith("rtsp") else "flv"
    options = {"rtsp_transport": "tcp"} if form == "rtsp" else {"flvflags": "no_duration_filesize"}
    kind = Kind("libx264", True, {**options, "flush_packets": "1"}, PUSHED)
    try:
        return LiveMovie(address.value, kind, broadcast, form=form)
    except (FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SinkError(f"{address} takes nothing ({reason}): is its server running?") from None
