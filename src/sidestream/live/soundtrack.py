"""Sound on the time of the show: without holes, silent where there is none, and as late as the picture."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from sidestream.config_live import SHOW_LIMITS
from sidestream.media.capture import SOUND_RATE, Sound

JOINS = 0.02
"""Seconds by which a piece may be off and still be joined to the one before it, so that no click is heard."""
LONGEST = 2.0
"""Seconds in one piece, at most."""


class Soundtrack:
    """`begin` is the moment of the clock at which the show began."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._pieces: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=SHOW_LIMITS.sounds)
        self._end: int | None = None
        self._done = 0

    @property
    def seconds(self) -> float:
        """How much has gone out."""
        return self._done / SOUND_RATE

    def add(self, sound: Sound) -> None:
        """Places are counted from the beginning, without the delay, which may still change."""
        place = round((sound.stamp - self._begin) * SOUND_RATE)
        if self._end is not None and abs(place - self._end) < JOINS * SOUND_RATE:
            place = self._end
        self._end = place + sound.samples.shape[1]
        self._pieces.append((place, sound.samples))

    def until(self, seconds: float, delay: float) -> NDArray[np.float32]:
        """The next samples, up to that time of the show; what comes too late is dropped."""
        end, late = round(seconds * SOUND_RATE), round(delay * SOUND_RATE)
        self._done = max(self._done, end - round(LONGEST * SOUND_RATE))
        out = np.zeros((2, max(0, end - self._done)), np.float32)
        while self._pieces and self._pieces[0][0] + late < end:
            place, samples = self._pieces.popleft()
            at = place + late - self._done
            skip = max(0, -at)
            part = samples[:, skip : end - self._done - at]
            out[:, at + skip : at + skip + part.shape[1]] = part
            if at + samples.shape[1] > end - self._done:
                rest = max(0, end - self._done - at)
                self._pieces.appendleft((place + rest, samples[:, rest:]))
                break
        self._done = max(self._done, end)
        return out
