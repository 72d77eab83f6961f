"""Pictures and sound of a container as they happen: a URL at the pace it arrives, a file at the pace it was made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from sidestream.config import LIMITS, Limits
from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SourceError
from sidestream.media.address import Address
from sidestream.media.capture import SOUND_RATE, Capture, Sound, Timeline, frame_at
from sidestream.media.colour import Smaller, to_pixels
from sidestream.media.open import open_live, video_stream
from sidestream.types import Frame

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

LATE = 0.5
"""Seconds that a file may fall behind its own pace before its time is moved."""


class ContainerCapture:
    """A Capture of an open container, which it owns. Damaged packets are left out."""

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        sound: bool = True,
        paced: bool = False,
        smaller: Smaller | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        limits: Limits = LIMITS,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self._container, self._name, self._limits = container, name, limits
        self._video = video_stream(container, name, limits)
        self._video.codec_context.options["max_pixels"] = str(limits.max_source_pixels)
        self._video.codec_context.thread_type = "SLICE"  # by frames it would hold some back
        self._audio = next(iter(container.streams.audio), None) if sound else None
        if self._audio is not None and not self._audio.codec_context:
            self._audio = None
        self._resampler = _resampler()
        self._reformatter, self._smaller = VideoReformatter(), smaller
        self._clock, self._sleep, self._paced = clock, sleep, paced
        self._timeline, self._start = Timeline(), 0.0
        self._taken = self.failures = 0
        aspect = self._video.sample_aspect_ratio
        self._stretch = aspect if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)

    @property
    def rate(self) -> Fraction:
        found = self._video.average_rate or self._video.guessed_rate or Fraction(25)
        return found if 1 <= found <= 240 else Fraction(25)

    @property
    def has_sound(self) -> bool:
        return self._audio is not None

    def __iter__(self) -> Iterator[Frame | Sound]:
        from av.error import FFmpegError

        streams = [self._video] if self._audio is None else [self._video, self._audio]
        try:
            for packet in self._container.demux(streams):
                yield from self._decoded(packet)
        except FFmpegError as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SourceError(f"{self._name} broke off ({reason}): is it still sending?") from None

    def close(self) -> None:
        self._container.close()

    def _decoded(self, packet: Packet[Any]) -> Iterator[Frame | Sound]:
        from av.error import FFmpegError
        from av.video.frame import VideoFrame

        try:
            decoded = packet.decode()
        except FFmpegError:
            self.failures += 1
            return
        for one in decoded:
            if isinstance(one, VideoFrame):
                yield self._frame(one)
            else:
                yield from self._sounds(one)

    def _frame(self, picture: VideoFrame) -> Frame:
        limits, (width, height) = self._limits, (picture.width, picture.height)
        if (
            min(width, height) < limits.min_source_pixels
            or width * height > limits.max_source_pixels
        ):
            raise SourceError(
                f"{self._name} sends pictures of {width}x{height}: {limits.min_source_pixels} pixels a side"
                f" to {limits.max_source_pixels} in all are taken"
            )
        own = _seconds(picture)
        stamp = self._due(own) if self._paced else self._timeline.stamp(own, self._clock())
        pixels = to_pixels(picture, self._reformatter, self._stretch, self._smaller)
        frame = frame_at(pixels, stamp, self._taken)
        self._taken += 1
        return frame

    def _due(self, own: float | None) -> float:
        """Waits until a file's picture is due. What is far behind is not caught up with."""
        own = self._taken / float(self.rate) if own is None else own
        if not self._taken:
            self._start = self._clock() - own
        late = self._clock() - self._start - own
        if late < 0:
            self._sleep(min(-late, 10.0))
        elif late > LATE:
            self._start += late
        return self._timeline.stamp(own, self._start + own)

    def _sounds(self, heard: AudioFrame) -> Iterator[Sound]:
        own = _seconds(heard)
        stamp = None if own is None else self._timeline.of(own)
        try:
            pieces = self._resampler.resample(heard)
        except ValueError:  # the sound changed its form on the way
            self._resampler = _resampler()
            pieces = self._resampler.resample(heard)
        for piece in pieces:
            if stamp is not None:
                samples = np.asarray(piece.to_ndarray(), np.float32)
                yield Sound(samples, stamp)
                stamp += samples.shape[1] / SOUND_RATE


def _seconds(decoded: VideoFrame | AudioFrame) -> float | None:
    """A time of its own; streams may leave it out."""
    if decoded.pts is None or decoded.time_base is None:
        return None
    return float(decoded.pts * decoded.time_base)


def _resampler() -> AudioResampler:
    from av.audio.resampler import AudioResampler

    return AudioResampler("fltp", "stereo", SOUND_RATE)


def open_container_live(
    address: Address,
    *,
    sound: bool = True,
    smaller: Smaller | None = None,
    limits: ShowLimits = SHOW_LIMITS,
) -> Capture:
    """Opens a URL, a screen, or a file at its own pace; `smaller` says how small its pictures may be handed out."""
    container = open_live(address, limits)
    try:
        paced = address.kind == "file"
        return ContainerCapture(container, str(address), sound=sound, paced=paced, smaller=smaller)
    except BaseException:
        container.close()
        raise
