"""When a picture is shown: at an even pace by capture time, held where there is no new one. Pure of clocks and threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.live.studio import Shown

WINDOW = 60
"""Pictures whose lateness is remembered."""
SLACK = 0.05
"""Seconds by which sound may be early or late before that is mended."""
WAITING = 8


@dataclass
class Lag:
    """What sound is delayed by: as late as the picture usually is, but not moved by its every move, which all cut sound."""

    seconds: float = 0.0

    def follow(self, wanted: float) -> float:
        if abs(wanted - self.seconds) > max(SLACK, wanted / 10):
            self.seconds = wanted
        return self.seconds


class Pacer:
    """Holds pictures back by about the latency of the slow ones among them, so that they do not come in bursts."""

    def __init__(self, limits: ShowLimits = SHOW_LIMITS, *, ahead: bool = False) -> None:
        """`ahead`: a picture is held back until the one after it is there as well."""
        self._limits = limits
        self._ahead = ahead
        self._waiting: deque[Shown] = deque(maxlen=WAITING)
        self._late: deque[float] = deque(maxlen=WINDOW)
        self._sequence: int | None = None
        self._newest = -inf
        self._current: Shown | None = None
        self._lag = Lag()

    @property
    def delay(self) -> float:
        """How long after its capture a picture is shown."""
        return self._lag.seconds

    def offer(self, shown: Shown | None, now: float) -> bool:
        """Takes a picture in; False where it is known already."""
        if shown is None or shown.sequence == self._sequence:
            return False
        self._sequence = shown.sequence
        if shown.origin == "source" or shown.stamp <= self._newest:
            self._waiting.clear()  # at once, and no measure of the model
            self._current = shown
            return True
        since = self._newest if self._ahead and self._newest > -inf else shown.stamp
        self._newest = shown.stamp
        self._waiting.append(shown)
        self._late.append(max(0.0, now - since))
        self._lag.follow(min(sorted(self._late)[len(self._late) * 9 // 10], self._limits.delay))
        return True

    def at(self, now: float) -> Shown | None:
        """What is shown at that moment."""
        while self._waiting and self._waiting[0].stamp + self.delay <= now:
            self._current = self._waiting.popleft()
        if self._current is None and self._waiting:
            self._current = self._waiting.popleft()
        return self._current

    def coming(self, now: float) -> tuple[Shown, float] | None:
        """The picture after the one that is shown, where it is there, and the share of the way to it that is gone."""
        if self._current is None or not self._waiting:
            return None
        begin, later = self._current.stamp, self._waiting[0]
        if later.stamp <= begin:
            return None
        share = (now - self.delay - begin) / (later.stamp - begin)
        return later, min(max(share, 0.0), 1.0)


class Ticks:
    """The moments at which pictures go out: a steady beat that leaves out what a machine slept through."""

    def __init__(self, rate: Fraction, begin: float, limits: ShowLimits = SHOW_LIMITS) -> None:
        self.rate, self._begin, self._gap = rate, begin, limits.gap
        self._next = 0

    @property
    def next(self) -> float:
        """When the next one is."""
        return self._begin + float(self._next / self.rate)

    def due(self, now: float) -> Iterator[tuple[int, float]]:
        """Number and moment of each that is due."""
        if now - self.next > self._gap:
            self._next = int((now - self._begin) * self.rate)
        while self.next <= now:
            yield self._next, self.next
            self._next += 1
