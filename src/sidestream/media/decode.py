"""Packets of a container to pictures, one packet at a time, so that damage costs no more than itself."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from sidestream.errors import SourceError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

READ_ERRORS = 8
"""Reading is given up after this many failures of the container in a row."""
THREADS = 4
KEEPS_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these drop transparency."""


class Feed(Protocol):
    """Pictures as they are decoded, with what is known of them beforehand."""

    rate: Fraction
    time_base: Fraction
    origin: int
    """The pts where the video begins."""
    stretch: Fraction
    count: int | None
    """How many packets there should be, where the file says so."""
    seconds: float | None
    packets: int
    """How many were read."""
    failures: int
    """How many could not be decoded."""

    def pictures(self, start: int) -> Iterator[VideoFrame]:
        """From the last place at or before the pts `start` that decoding can begin at."""
        ...

    def close(self) -> None: ...


class Decoder:
    """A Feed of one stream of one container. Owns both."""

    def __init__(self, container: InputContainer, stream: VideoStream, *, max_pixels: int) -> None:
        self._container, self._stream = container, stream
        self._codec = _codec(stream)
        self._codec.options["max_pixels"] = str(max_pixels)
        self._codec.thread_type, self._codec.thread_count = "AUTO", THREADS
        self.rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self.time_base = stream.time_base or 1 / self.rate
        self.origin = stream.start_time or 0
        self.stretch = _stretch(stream)
        self.count = min(stream.frames, len(stream.index_entries)) or None
        self.seconds = _seconds(container, stream)
        self.packets = 0
        self.failures = 0
        self._only_dts = container.format.name == "avi"
        self._last = -1

    def pictures(self, start: int) -> Iterator[VideoFrame]:
        timed = self._stream.start_time is not None
        if start <= self.origin or not timed or not self._seek(start):
            yield from self._decode(start)
            return
        found = self._decode(start)
        first = next(found, None)
        if first is not None and first.pts is not None and first.pts <= start:
            yield first
            yield from found
        else:  # the index led past the place
            self._seek(self.origin)
            yield from self._decode(start)

    def close(self) -> None:
        self._container.close()

    def _seek(self, pts: int) -> bool:
        from av.error import FFmpegError

        try:
            self._container.seek(pts, stream=self._stream)
        except (FFmpegError, OverflowError):  # times of a broken file may be any number
            return False
        self._codec.flush_buffers()
        return True

    def _decode(self, start: int) -> Iterator[VideoFrame]:
        from av.error import FFmpegError

        for packet in self._read():
            try:
                decoded = self._codec.decode(packet)
            except FFmpegError:
                decoded = []
                self.failures += packet is None or packet.pts is None or packet.pts >= start
            for picture in decoded:
                if self._only_dts:
                    picture.pts = self._time(picture)
                yield picture

    def _time(self, picture: VideoFrame) -> int:
        """Pictures come a fixed number of packets after their own."""
        if picture.dts is not None:
            self._last = picture.dts - self._codec.reorder_depth
        else:
            self._last += 1
        return self._last

    def _read(self) -> Iterator[Packet[VideoStream] | None]:
        """All packets and, last, an empty one or None, which flushes the decoder."""
        from av.error import ExitError, FFmpegError

        failures = 0
        while failures < READ_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    self.packets += packet.size > 0
                    yield packet
                return
            except FFmpegError as error:
                failures += 1
                if isinstance(error, ExitError) and not self.packets:
                    raise SourceError(
                        f"{self._container.name.removeprefix('file:')} did not answer in time:"
                        " is its disk or network share there?"
                    ) from error
        self.failures += 1
        yield None


def _codec(stream: VideoStream) -> VideoCodecContext:
    from av.video.codeccontext import VideoCodecContext

    codec = stream.codec_context
    if codec.name not in KEEPS_ALPHA or stream.metadata.get("alpha_mode") != "1":
        return codec
    other = VideoCodecContext.create(KEEPS_ALPHA[codec.name], "r")
    assert isinstance(other, VideoCodecContext)
    other.extradata = codec.extradata
    return other


def _stretch(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None
