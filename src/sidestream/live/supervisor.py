"""Watches over a worker: replaces one that died or is stuck, so often and no more. Never waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from sidestream.config_live import LiveConfig

TICK = 0.02
"""Seconds between two looks."""

Verdict = Literal["well", "dead", "stuck"]


class Worker(Protocol):
    """A running worker, seen from outside."""

    def alive(self) -> bool: ...

    def pulse(self) -> int:
        """A number that rises for as long as the worker gets on."""
        ...

    def ready(self) -> bool: ...

    def end(self) -> None:
        """At once, whatever it is doing."""
        ...


@dataclass(frozen=True)
class Watch:
    """What is remembered of a worker."""

    since: float
    """When it was last seen to get on."""
    pulse: int = 0
    ready: bool = False


def watch(before: Watch, worker: Worker, now: float, config: LiveConfig) -> tuple[Watch, Verdict]:
    """How the worker does. Until it is ready it may take as long as loading takes, after that it must get on."""
    pulse, ready = worker.pulse(), worker.ready()
    after = replace(before, pulse=pulse, ready=ready)
    if pulse != before.pulse or ready != before.ready:
        after = replace(after, since=now)
    if not worker.alive():
        return after, "dead"
    patience = config.stuck_after if ready else config.start_timeout
    return after, "stuck" if now - after.since > patience else "well"


def pause_before(starts: tuple[float, ...], now: float, config: LiveConfig) -> float | None:
    """Seconds before the next replacement, when those before began at `starts`. None: there were too many of late."""
    recent = [start for start in starts if now - start < config.restart_window]
    if len(recent) >= config.restarts:
        return None
    return config.backoff * 2 ** (len(recent) - 1) if recent else 0.0


class Supervisor:
    """Owns the worker and the thread that watches it. `launch` starts worker number n."""

    def __init__(
        self,
        launch: Callable[[int], Worker],
        config: LiveConfig,
        *,
        refused: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._launch = launch
        self._config = config
        self._refused = refused
        self._clock = clock
        self._stop = threading.Event()
        self.replaced: tuple[float, ...] = ()
        """When workers were replaced."""
        self.why = ""
        """What was wrong with the last one."""
        self.failed = ""
        """Why no worker is started any more."""
        self.ready = False
        """Whether a worker is there and restyles."""
        self.worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name="sidestream-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Watches no more, and ends the worker. Bounded in time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # Workers are started by this thread alone.
        try:
            while not self._stop.is_set() and not self.failed:
                self._serve(len(self.replaced) + 1)
        finally:
            self.ready = False

    def _serve(self, number: int) -> None:
        """The life of one worker, and the pause before the next."""
        try:
            worker = self.worker = self._launch(number)
        except (OSError, RuntimeError) as error:
            self.failed = f"a process for the model could not be started ({error})"
            return
        seen, verdict = Watch(self._clock()), "well"
        try:
            while verdict == "well" and not self._stop.wait(TICK):
                seen, verdict = watch(seen, worker, self._clock(), self._config)
                self.ready = seen.ready and verdict == "well"
        finally:
            self.ready = False
            worker.end()
        if verdict == "well":
            return
        self.failed = self._refused()
        if self.failed:
            return
        self.why = "stopped" if verdict == "dead" else "did not answer any more"
        now = self._clock()
        pause = pause_before(self.replaced, now, self._config)
        self.replaced = (*self.replaced, now)
        if pause is None:
            self.failed = (
                f"the model {self.why} {len(self.replaced)} times: see the log, then start again"
            )
            return
        until = now + pause
        while self._clock() < until and not self._stop.wait(TICK):
            pass
