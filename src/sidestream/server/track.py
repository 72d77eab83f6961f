"""Pictures in and out of WebRTC: of what comes in only the newest counts, what goes out keeps the rhythm of capture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame
from numpy.typing import NDArray

from sidestream.config_live import SERVER_LIMITS
from sidestream.server import stamp
from sidestream.server.pace import CaptureClock, Pace
from sidestream.server.transition import Picture, Transition
from sidestream.types import Pixels

POLL = 1 / 120
REPEAT = 1.0
"""A picture that stays is sent again after so many seconds, so that nobody who joins waits for ever."""
CLOCK_RATE = 90_000

Clock = Callable[[], float]


@dataclass(frozen=True, eq=False)
class Taken:
    """A picture as it came in."""

    pixels: Pixels
    captured: float
    """By our clock."""
    value: int | None
    """Of its strip."""


async def receive(
    track: MediaStreamTrack,
    take: Callable[[Taken], object],
    *,
    stamped: bool,
    clock: Clock = time.monotonic,
) -> None:
    """Takes every picture off a track, whose queue has no bound, and hands on the newest until the track ends."""
    newest: list[tuple[VideoFrame, float]] = []
    arrived = asyncio.Event()
    capture = CaptureClock()

    async def drain() -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    newest[:] = [(frame, capture.captured(_seconds(frame), clock()))]
                    arrived.set()
        except MediaStreamError:
            return

    draining = asyncio.create_task(drain())
    draining.add_done_callback(lambda _: arrived.set())
    try:
        while not draining.done():
            await arrived.wait()
            arrived.clear()
            if newest:
                frame, captured = newest.pop()
                take(await asyncio.to_thread(_taken, frame, captured, stamped))
    finally:
        draining.cancel()


class Restyled(MediaStreamTrack):
    """What a viewer gets. Asks for the newest picture and sends it when it is due, or what lies on the way to it."""

    kind = "video"

    def __init__(
        self,
        look: Callable[[], Picture | None],
        sent: Callable[[Picture, float], object],
        *,
        stamped: bool,
        interpolate: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__()
        self._transition = Transition(interpolate=interpolate)
        self._look = look
        self._sent = sent
        self._stamped = stamped
        self._clock = clock
        self._pace = Pace()
        self._last: tuple[Picture | None, int, float] = (None, -1, -REPEAT)
        """What was sent last, its pts and when."""

    async def recv(self) -> VideoFrame:
        picture = await self._next()
        last, pts, then = self._last
        now = self._clock()
        if picture is not last:
            if not picture.between:
                await asyncio.sleep(self._pace.wait(picture.shown.stamp, now))
                now = self._clock()
            pts = max(round(picture.shown.stamp * CLOCK_RATE), pts + 1)
            self._sent(picture, now)
        else:
            pts += round((now - then) * CLOCK_RATE)
        self._last = (picture, pts, now)
        frame = VideoFrame.from_ndarray(_even(picture.stamped if self._stamped else picture.pixels))
        frame.pts, frame.time_base = pts, Fraction(1, CLOCK_RATE)
        return frame

    async def _next(self) -> Picture:
        while self.readyState == "live":
            now = self._clock()
            self._transition.offer(self._look(), now)
            if (picture := self._transition.due(now)) is not None:
                return picture
            held = self._transition.held
            if held is not None and now - self._last[2] >= REPEAT:
                return held
            await asyncio.sleep(POLL)
        raise MediaStreamError


def _seconds(frame: VideoFrame) -> float:
    return float((frame.pts or 0) * (frame.time_base or Fraction(1, CLOCK_RATE)))


def _taken(frame: VideoFrame, captured: float, stamped: bool) -> Taken:
    value = stamp.read(_luma(frame)) if stamped else None
    scale = min(1.0, SERVER_LIMITS.max_side / max(frame.width, frame.height))
    width, height = max(16, round(frame.width * scale)), max(16, round(frame.height * scale))
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    if stamped:
        pixels = pixels[: max(16, stamp.picture_rows(height))]
    return Taken(np.ascontiguousarray(pixels, np.uint8), captured, value)


def _luma(frame: VideoFrame) -> NDArray[np.uint8]:
    """The brightness alone, without copying where it lies apart from the colours, as codecs give it."""
    if not frame.format.name.startswith("yuv"):
        return np.asarray(frame.reformat(format="gray").to_ndarray(), np.uint8)
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]


def _even(pixels: Pixels) -> Pixels:
    """Video codecs halve the colours, so that both sides must be even."""
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[: height - height % 2, : width - width % 2])
