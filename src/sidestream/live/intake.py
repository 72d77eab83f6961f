"""The newest frame of a live source, and its sound, whatever the source does: it is opened anew when it ends or hangs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SourceError
from sidestream.live.attempts import AtEnd, Attempt, Attempts
from sidestream.media.capture import Capture, Sound
from sidestream.types import Frame

LOOK = 0.1
"""Seconds after which the source is looked after while nothing comes."""


class Intake:
    """Owns the source and the thread that reads it. All else is called from one thread."""

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], Capture],
        *,
        at_end: AtEnd,
        waits: bool = False,
        limits: ShowLimits = SHOW_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`waits`: the source stands still behind its first frame until `go_on`, as a file can."""
        self._open, self._limits, self._clock = open_capture, limits, clock
        self._attempts = Attempts(name, self._read, at_end=at_end, limits=limits, clock=clock)
        self._goes_away = at_end == "pause"
        self._wanted = threading.Event()
        if not waits:
            self._wanted.set()
        self._came = threading.Condition()
        self._frame: Frame | None = None
        self._sounds: deque[Sound] = deque(maxlen=limits.sounds)
        self._heard = clock()
        self.rate = 30.0
        self.has_sound = False
        self.missed = 0
        """Frames that were replaced by newer ones before anybody took them."""

    @property
    def ended(self) -> bool:
        return self._attempts.ended and self._frame is None

    @property
    def reconnects(self) -> int:
        """A file that begins again is none."""
        return self._attempts.retries if self._goes_away else 0

    @property
    def error(self) -> str:
        """What went wrong with it last."""
        return str(self._attempts.error or "")

    def silent(self) -> bool:
        """Whether there has been nothing for too long."""
        return not self.ended and self._clock() - self._heard > self._limits.stall

    def first(self) -> Frame:
        """Waits for the first frame, which is still to be taken; SourceError where there is none."""
        until = self._clock() + self._limits.open_timeout + self._limits.stall
        while self._clock() < until:
            self._look(LOOK)
            if self._frame is not None:
                return self._frame
            if self._attempts.error is not None or self._attempts.ended:
                break
        self.close()
        known = self._attempts.error
        if isinstance(known, SourceError):
            raise known
        raise SourceError(
            f"{self._attempts.name} gives no picture ({known or 'nothing came in time'}): is anything sent there?"
        )

    def go_on(self) -> int:
        """From now on frames count. Returns how many were missed before."""
        with self._came:
            missed, self.missed = self.missed, 0
        self._wanted.set()
        return missed

    def take(self, seconds: float) -> Frame | None:
        """The newest frame, once; waits for one, but not for longer than that."""
        if self._frame is None:
            self._look(min(max(seconds, 0.0), LOOK))
        else:
            self._attempts.supervise()
        with self._came:
            frame, self._frame = self._frame, None
        return frame

    def sounds(self) -> list[Sound]:
        with self._came:
            found = list(self._sounds)
            self._sounds.clear()
        return found

    def close(self) -> None:
        self._wanted.set()
        self._attempts.leave(LOOK)

    def _look(self, seconds: float) -> None:
        self._attempts.supervise()
        with self._came:
            if self._frame is None and not self._attempts.ended:
                self._came.wait(seconds)

    def _read(self, attempt: Attempt) -> None:
        with closing(self._open()) as capture:
            self.rate, self.has_sound = float(capture.rate), capture.has_sound
            for moment in capture:
                if not attempt.current:
                    return
                if isinstance(moment, Frame):
                    attempt.beat()
                self._put(moment)
                if isinstance(moment, Frame):
                    self._wanted.wait()

    def _put(self, moment: Frame | Sound) -> None:
        with self._came:
            if isinstance(moment, Sound):
                self._sounds.append(moment)
                return
            self.missed += self._frame is not None
            self._frame, self._heard = moment, self._clock()
            self._came.notify()
