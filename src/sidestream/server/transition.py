"""Which picture a track sends next: the newest, or on the way to it some that lie between. Told the time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from sidestream.live.between import Dissolve, mixed
from sidestream.live.studio import Shown
from sidestream.types import Pixels

RATE = 30
"""Pictures a second, about, where some are put between."""
MOST = 4
"""Between two restyled ones."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture to send."""

    shown: Shown
    stamped: Pixels
    """With its strip below."""
    between: bool = False
    """Restyled pictures lie before and behind it; nothing that counts pictures counts this one."""

    @property
    def pixels(self) -> Pixels:
        return self.shown.pixels


class Transition:
    """Owns the picture that was reached last, and those that wait for their moment on the way to the newest."""

    def __init__(self, *, interpolate: bool) -> None:
        self._dissolve = Dissolve() if interpolate else None
        self._waiting: deque[tuple[float, Picture]] = deque()
        self._goal: Picture | None = None

    def offer(self, picture: Picture | None, now: float) -> None:
        """Takes in the newest picture. What waits for its moment gives way to it."""
        if picture is None or (self._goal and picture.shown.sequence == self._goal.shown.sequence):
            return
        before, self._goal = self._goal, picture
        if self._waiting:
            before = self._waiting[-1][1]
            self._waiting = deque([(now, before)])
        if self._dissolve and before and self._dissolve.joins(before.shown, picture.shown):
            self._waiting.extend(_between(before, picture, now))
        else:
            self._waiting.append((now, picture))

    def due(self, now: float) -> Picture | None:
        if self._waiting and self._waiting[0][0] <= now:
            return self._waiting.popleft()[1]
        return None

    @property
    def held(self) -> Picture | None:
        """What is shown while nothing new comes."""
        return None if self._waiting else self._goal


def _between(before: Picture, after: Picture, now: float) -> list[tuple[float, Picture]]:
    """Some pictures between two, and the later one, each with its moment."""
    gap = after.shown.stamp - before.shown.stamp
    count = min(max(round(gap * RATE), 1), MOST + 1)
    pace = gap / count
    mixes = [_mixed(before, after, n / count) for n in range(1, count)]
    return [(now + n * pace, one) for n, one in enumerate([*mixes, after])]


def _mixed(before: Picture, after: Picture, share: float) -> Picture:
    """Carries the strip of the earlier picture: who reads it has counted that one."""
    pixels = mixed(before.pixels, after.pixels, share)
    stamp = before.shown.stamp + share * (after.shown.stamp - before.shown.stamp)
    strip = before.stamped[before.pixels.shape[0] :]
    shown = replace(before.shown, pixels=pixels, stamp=stamp)
    return Picture(shown, np.concatenate([pixels, strip]), between=True)
