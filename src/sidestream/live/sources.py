"""Live sources by their address: which class opens what, and the test pattern."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction

from sidestream.config import Size
from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.media.address import Address
from sidestream.media.camera import CameraCapture
from sidestream.media.capture import Capture, frame_at
from sidestream.media.colour import Smaller
from sidestream.media.network import open_container_live
from sidestream.synth.scenes import test_pattern
from sidestream.types import Frame

PATTERN_RATE = 30


def open_capture(
    address: Address,
    *,
    sound: bool = True,
    smaller: Smaller | None = None,
    limits: ShowLimits = SHOW_LIMITS,
) -> Capture:
    match address.kind:
        case "camera":
            return CameraCapture(address.value)
        case "pattern":
            return PatternCapture(Size.parse(address.value))
        case _:
            return open_container_live(address, sound=sound, smaller=smaller, limits=limits)


class PatternCapture:
    """A Capture of the test pattern, in real time."""

    def __init__(
        self,
        size: Size,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._size, self._clock, self._sleep = size, clock, sleep

    has_sound = False

    @property
    def rate(self) -> Fraction:
        return Fraction(PATTERN_RATE)

    def __iter__(self) -> Iterator[Frame]:
        start, index = self._clock(), 0
        while True:
            wait = start + index / PATTERN_RATE - self._clock()
            if wait > 0:
                self._sleep(wait)
            yield frame_at(test_pattern(self._size, index), start + index / PATTERN_RATE, index)
            # A machine that slept or was busy goes on with what is due now.
            index = max(index + 1, int((self._clock() - start) * PATTERN_RATE))

    def close(self) -> None:
        pass
