"""A sink in a lane of its own, which the show never waits for: what it cannot take in time is dropped and counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SidestreamError, SinkError
from sidestream.live.attempts import Attempt, Attempts
from sidestream.types import Frame

IDLE = 0.25


@dataclass(frozen=True, eq=False)
class Heard:
    """Sound as it goes out: float32, 2 x samples at capture.SOUND_RATE."""

    samples: NDArray[np.float32]
    seconds: float
    """Since the beginning of the show."""


class LiveSink(Protocol):
    """Where a show goes. Frames come at a steady pace, with gaps where the sink was away."""

    def show(self, frame: Frame) -> None: ...

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        """2 x samples at capture.SOUND_RATE, which begin at that time of the show."""
        ...

    def close(self) -> None: ...


class Outlet:
    """Owns a sink, its thread and what waits for it."""

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], LiveSink],
        *,
        returns: bool,
        restyled_first: bool = False,
        limits: ShowLimits = SHOW_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`returns`: a sink that breaks is opened anew; else that is its end. `restyled_first`: it is put nothing before."""
        self.name, self._open, self._limits, self._clock = name, open_sink, limits, clock
        self._attempts = Attempts(
            name, self._write, at_end="pause" if returns else "stop", limits=limits, clock=clock
        )
        self._waiting: Queue[Frame | Heard | None] = Queue(limits.outgoing)
        self.restyled_first = restyled_first
        self.is_open = False
        self.written = 0
        self.dropped = 0

    @property
    def reconnects(self) -> int:
        return self._attempts.retries

    @property
    def error(self) -> SidestreamError | None:
        return self._attempts.error

    @property
    def broken(self) -> bool:
        """Whether it has ended before it should."""
        return self._attempts.ended

    def begin(self) -> None:
        """Waits until it is open; SinkError where that fails."""
        until = self._clock() + self._limits.open_timeout
        while not self.is_open and self._clock() < until and self.error is None:
            self._attempts.supervise()
            time.sleep(0.005)
        if self.is_open:
            return
        self._attempts.leave(0.0)
        if isinstance(self.error, SidestreamError) and type(self.error) is not SidestreamError:
            raise self.error
        raise SinkError(
            f"{self.name} cannot be opened ({self.error or 'it did not answer in time'}): is its server running?"
        )

    def put(self, item: Frame | Heard) -> None:
        self._attempts.supervise()
        if self.broken:
            return
        try:
            if not self.is_open:
                raise Full
            self._waiting.put_nowait(item)
        except Full:
            self.dropped += isinstance(item, Frame)

    def close(self) -> None:
        """Writes what waits, finishes the sink, and leaves it where that takes too long."""
        until = self._clock() + self._limits.finish
        while self.is_open and self._clock() < until:
            with suppress(Full):
                self._waiting.put(None, timeout=IDLE)
                break
        self._attempts.finish(until - self._clock())

    def _write(self, attempt: Attempt) -> None:
        sink = self._open()
        try:
            self.is_open = True
            attempt.beat()
            while attempt.current:
                try:
                    item = self._waiting.get(timeout=IDLE)
                except Empty:
                    attempt.beat()
                    continue
                if item is None:
                    return
                if isinstance(item, Frame):
                    sink.show(item)
                    self.written += 1
                else:
                    sink.hear(item.samples, item.seconds)
                attempt.beat()
        finally:
            self.is_open = False
            sink.close()
