"""Something that may hang or break, kept going: one attempt after the other, each in a thread, with pauses between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SidestreamError

AtEnd = Literal["stop", "at once", "pause"]
"""What follows an attempt that ended of its own accord; after `stop` a broken one is not repeated either."""


def pause(away: float, limits: ShowLimits = SHOW_LIMITS) -> float:
    """Seconds until the next attempt: what returns after ten seconds is met within about one."""
    return min(max(away / 10, limits.retry_first), limits.retry_last)


class Attempt:
    """One try. `beat` says that it gets on; once it is no longer current it should return."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.current = True
        self.begun = clock()
        self.beaten: float | None = None
        self.over: float | None = None
        self.error: SidestreamError | None = None

    def beat(self) -> None:
        self.beaten = self._clock()


class Attempts:
    """Owns the threads. `supervise` is called now and then, and is where everything is decided."""

    def __init__(
        self,
        name: str,
        work: Callable[[Attempt], None],
        *,
        at_end: AtEnd,
        limits: ShowLimits = SHOW_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._work, self._at_end = name, work, at_end
        self._limits, self._clock = limits, clock
        self._attempt: Attempt | None = None
        self._threads: list[threading.Thread] = []
        self._well = clock()
        self._next = clock()
        self.begun = 0
        self.ended = False
        self.error: SidestreamError | None = None
        """What went wrong last."""

    @property
    def retries(self) -> int:
        return max(0, self.begun - 1)

    def supervise(self) -> None:
        """Begins what is due, leaves what hangs, notes what is over."""
        now, attempt = self._clock(), self._attempt
        if self.ended:
            return
        if attempt is None:
            if now >= self._next:
                self._begin()
            return
        if attempt.beaten is not None:
            self._well = max(self._well, attempt.beaten)
        if attempt.over is not None:
            self._conclude(attempt, now)
        elif self._hangs(attempt, now):
            attempt.current = False
            self.error = SidestreamError(f"{self.name} is silent")
            self._attempt, self._next = None, now

    def finish(self, seconds: float) -> None:
        """Lets the attempt that is going on come to its end, and leaves it after that time."""
        if self._attempt is not None and self._attempt.over is None:
            self._threads[-1].join(max(0.0, seconds))
        if self._attempt is not None and self._attempt.over is not None:
            self.error = self._attempt.error or self.error
        self.leave(0.0)

    def leave(self, seconds: float) -> None:
        """Ends all; what hangs is left to itself after that time. Its threads do not keep the process."""
        if self._attempt is not None:
            self._attempt.current = False
        self.ended = True
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _hangs(self, attempt: Attempt, now: float) -> bool:
        if self._at_end != "pause":  # a file: as slow as it likes, for there is no other try
            return False
        if attempt.beaten is None:
            return now - attempt.begun > self._limits.open_timeout + self._limits.stall
        return now - attempt.beaten > self._limits.stall

    def _conclude(self, attempt: Attempt, now: float) -> None:
        self._attempt = None
        self.error = attempt.error or self.error
        if self._at_end == "stop":
            self.error = attempt.error
            self.ended = True
        elif self._at_end == "at once" and attempt.error is None and attempt.beaten is not None:
            self._next = now
        else:
            self._next = now + pause(now - self._well, self._limits)

    def _begin(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) > self._limits.abandoned:
            self._next = self._clock() + self._limits.retry_last
            return
        self.begun += 1
        self._attempt = attempt = Attempt(self._clock)
        thread = threading.Thread(target=self._run, args=(attempt,), name=self.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, attempt: Attempt) -> None:
        try:
            self._work(attempt)
        except SidestreamError as error:
            attempt.error = error
        except Exception as error:  # noqa: BLE001 - whatever breaks in a library, the picture goes on
            # By its kind only: its words may hold an address with a password.
            attempt.error = SidestreamError(f"{self.name} broke ({type(error).__name__})")
        finally:
            attempt.over = self._clock()
