"""When a picture was captured and when it goes out. Pure: told the time, never asks for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

JUMP = 1.0
"""A stream whose times step by more seconds than this has begun anew."""
WINDOW = 2.0
"""Seconds that what arrived with the least delay is believed for, twice that at most: clocks run apart, or stand still
while a machine is short of breath."""
MOST_HELD = 0.04
"""A picture that is early waits so long at most."""
SMOOTH = 0.1
REMEMBERED = 300


@dataclass
class CaptureClock:
    """Turns a stream's own times into ours: what arrived with the least delay tells how the two clocks differ."""

    _least: float | None = None
    """Of the window before this one and of this one, as `_newer` of this one alone."""
    _newer: float = 0.0
    _since: float = 0.0

    def captured(self, seconds: float, arrived: float) -> float:
        """When the frame of this stream time was captured, at the latest its arrival."""
        offset = arrived - seconds
        if self._least is None or abs(offset - self._least) > JUMP:
            self._least, self._newer, self._since = offset, offset, arrived
        elif arrived - self._since > WINDOW:
            self._least, self._newer, self._since = self._newer, offset, arrived
        self._newer = min(self._newer, offset)
        self._least = min(self._least, self._newer)
        return seconds + self._least


@dataclass
class Pace:
    """Holds a picture that came early until its usual age, so that what was captured evenly is shown evenly."""

    _usual: float | None = None

    def wait(self, stamp: float, now: float) -> float:
        """Seconds to hold the picture captured at `stamp`. Late ones go at once."""
        age = now - stamp
        if self._usual is None or abs(age - self._usual) > JUMP:
            self._usual = age
        self._usual += SMOOTH * (age - self._usual)
        return min(max(0.0, self._usual - age), MOST_HELD)


@dataclass
class Ages:
    """The newest of some durations, and where most of them lie."""

    _kept: deque[float] = field(default_factory=lambda: deque[float](maxlen=REMEMBERED))

    def add(self, seconds: float) -> None:
        self._kept.append(seconds)

    def at(self, share: float) -> float:
        """The duration that this share of them stays within; 0 where there are none."""
        ordered = sorted(self._kept)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
