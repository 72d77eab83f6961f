"""Named spans of time, read after the run: CUDA events on a GPU (no synchronisation), a clock elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_DRAIN_AT = 256


@dataclass(frozen=True)
class Span:
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> Span:
        return Span(self.count + 1, self.seconds + seconds)


class Spans:
    """Sums per name, safe to use from several lanes; memory does not grow with the run."""

    def __init__(self, device: torch.device | None = None) -> None:
        self._cuda = device is not None and device.type == "cuda"
        self._sums: dict[str, Span] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, name: str, *, host: bool = False) -> Generator[None]:
        """Times the block under `name`; `host` for work that launches nothing on the device."""
        if self._cuda and not host:  # pragma: no cover - cuda
            with self._device_span(name):
                yield
            return
        start = time.perf_counter()
        try:
            yield
        finally:
            self._add(name, time.perf_counter() - start)

    def sums(self) -> dict[str, Span]:
        if self._cuda:  # pragma: no cover - cuda
            torch.cuda.synchronize()
            self._drain()
        with self._lock:
            return dict(self._sums)

    def _add(self, name: str, seconds: float) -> None:
        with self._lock:
            self._sums[name] = self._sums.get(name, Span()).add(seconds)

    @contextmanager
    def _device_span(self, name: str) -> Generator[None]:  # pragma: no cover - cuda
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        yield
        end.record()
        self._events.append((name, start, end))
        if len(self._events) >= _DRAIN_AT:
            self._drain()

    def _drain(self) -> None:  # pragma: no cover - cuda
        """Adds what has finished; without waiting for the rest."""
        waiting: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        for name, start, end in self._events:
            if end.query():
                self._add(name, start.elapsed_time(end) / 1000)
            else:
                waiting.append((name, start, end))
        self._events = waiting
