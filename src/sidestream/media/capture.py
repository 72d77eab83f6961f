"""What live sources have in common: pictures and sound with the time they were captured, on the machine's steady clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sidestream.types import Frame, Pixels

MICROSECOND = Fraction(1, 1_000_000)
SOUND_RATE = 48_000
JUMP = 0.5
"""Seconds by which a stream's own times may differ from the clock's pace before they are taken for new ones."""
FORGIVES = 0.002
"""How much of a lateness is taken for a slow clock rather than for a late arrival, for every picture."""


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of sound: float32, 2 x samples, at SOUND_RATE."""

    samples: NDArray[np.float32]
    stamp: float
    """When its first sample was captured, in seconds of the clock."""


class Capture(Protocol):
    """A live source that is open. Its frames' times are microseconds of a clock that never steps."""

    @property
    def rate(self) -> Fraction:
        """Frames a second, as far as the source says."""
        ...

    @property
    def has_sound(self) -> bool: ...

    def __iter__(self) -> Iterator[Frame | Sound]: ...

    def close(self) -> None: ...


def frame_at(pixels: Pixels, seconds: float, index: int) -> Frame:
    """A frame captured at that second of the clock."""
    return Frame(pixels, round(seconds * 1_000_000), MICROSECOND, index)


class Timeline:
    """Puts the times of a stream on the machine's clock, so that what arrives in bursts has an even pace.

    The earliest arrivals say how the two clocks lie. Times that jump, forward or back, begin anew.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0
        self.jumps = 0

    def stamp(self, own: float | None, now: float) -> float:
        """When a picture with this time of its own was captured; it has just arrived."""
        if own is None:
            return self._increasing(now)
        if self._offset is None:
            self._offset = now - own
        late = now - own - self._offset
        if abs(late) > JUMP:
            self.jumps += 1
            self._offset, late = now - own, 0.0
        # Earlier than thought: the offset was too large. Late: by congestion, or by a clock that is slower.
        self._offset += late if late < 0 else late * FORGIVES
        return self._increasing(min(now, own + self._offset))

    def of(self, own: float) -> float | None:
        """The same for sound, which follows the pictures; None until there was one."""
        return None if self._offset is None else own + self._offset

    def _increasing(self, stamp: float) -> float:
        self._last = max(stamp, self._last + 1e-6)
        return self._last
