"""A studio whose model runs in a worker process that may be replaced: the side that front ends call."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from sidestream.config import LIMITS, ModelConfig, Size, StreamConfig, within
from sidestream.config_live import LiveConfig
from sidestream.errors import FullError
from sidestream.live import worker
from sidestream.live.faults import FaultPlan
from sidestream.live.feed import Counts
from sidestream.live.restyler import restyle
from sidestream.live.seat import Lease, LiveSeat, Standing
from sidestream.live.shared import Board, Layout
from sidestream.live.studio import State
from sidestream.live.supervisor import TICK, Supervisor
from sidestream.models import zoo
from sidestream.models.instruct.reader import Reader
from sidestream.models.instruct.template import clean
from sidestream.types import Controls

SPARE = 1.5
"""Room for frames: so many times the model's own number of pixels, since a working size may have more."""
TROUBLED = 60.0
"""Seconds for which a studio counts as degraded after something went wrong."""


def open_studio(
    model: str,
    config: ModelConfig = ModelConfig(),
    *,
    stream: StreamConfig = StreamConfig(),
    seats: int = 8,
    warm: Size | None = None,
    live: LiveConfig = LiveConfig(),
    faults: FaultPlan = FaultPlan(),
    clock: Callable[[], float] = time.monotonic,
    body: worker.Body = restyle,
) -> LiveStudio:
    """A studio that begins to load the model in a process of its own, and is there at once.

    A seat whose controls name no size works at that of `stream`. `warm` is the size that is warmed up before the studio
    counts as ready. Close it, or use it as a context manager. Like every
    program that starts processes this way, a script needs `if __name__ == "__main__":` around its own work.
    """
    # One stream stays free, for the pictures that the worker makes to see whether its model still works.
    within(1, LIMITS.max_streams - 1, seats=seats)
    entry = zoo.find(model, config.revision)
    pixels = max(
        int(entry.pixels * SPARE), *(s.width * s.height for s in (stream.size, warm) if s), 0
    )
    layout = Layout(seats, pixels * 3)
    board = Board.create(layout)
    post = worker.Post(
        model=model,
        config=config,
        stream=stream,
        live=live,
        memory=board.name,
        layout=layout,
        warm=warm or stream.size,
        number=1,
        faults=faults,
    )
    return LiveStudio(
        board, post, body, entry.pixels, clock, read=Reader(entry, config.revision).read
    )


class LiveStudio:
    """Owns the shared memory, the worker behind its supervisor, and the seats."""

    def __init__(
        self,
        board: Board,
        post: worker.Post,
        body: worker.Body,
        budget_pixels: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        read: Callable[[str], str] = clean,
    ) -> None:
        self._board = board
        self._post = post
        self._body = body
        self._clock = clock
        self._budget_pixels = budget_pixels
        self._read = read
        # Spawned, never forked: a fork would take over locks that other threads hold.
        self._context = multiprocessing.get_context("spawn")
        self._knock = self._context.Semaphore(0)
        self._seats: dict[int, LiveSeat] = {}
        self._tenancies = 0
        self._lock = threading.Lock()
        self._draining = False
        self._closed = False
        self._reported: tuple[int, Mapping[str, Any]] = (0, {})
        self._supervisor = Supervisor(self._launch, post.live, refused=self._refused, clock=clock)
        self._supervisor.start()

    @property
    def state(self) -> State:
        watched = self._supervisor
        if watched.failed:
            return State("failed", "Restyling has stopped: the model does not run.", watched.failed)
        if self._draining or self._closed:
            return State("draining", "The studio is closing.")
        if not watched.ready:
            if not watched.replaced:
                return State("starting", "The model is being loaded.")
            return State("degraded", f"The model {watched.why} and is being loaded again.")
        now, report = self._clock(), self._report()
        if report.get("degraded") and now - float(report["degraded_at"]) < TROUBLED:
            return State("degraded", str(report["degraded"]))
        if watched.replaced and now - watched.replaced[-1] < TROUBLED:
            return State("degraded", f"The model {watched.why} and was loaded again.")
        return State("ok")

    @property
    def worker_pid(self) -> int | None:
        """For tests and drills: whom to kill."""
        worker = self._supervisor.worker
        return worker.pid if isinstance(worker, WorkerProcess) else None

    def open(self, controls: Controls) -> LiveSeat:
        with self._lock:
            if self._draining or self._closed:
                raise FullError("the studio is closing: try again later")
            free = [n for n in range(self._post.layout.seats) if n not in self._seats]
            if not free:
                raise FullError(
                    f"all {self._post.layout.seats} seats are taken: try again when somebody has left"
                )
            self._tenancies += 1
            number, tenancy = free[0], self._tenancies
            lease = Lease(
                self._board.places[number],
                self._post.layout,
                tenancy,
                self._budget_pixels,
                self._post.stream.size,
                standing=lambda: self._standing(number, tenancy),
                knock=self._knock.release,
                release=lambda: self._release(number),
                read=self._read,
            )
            seat = LiveSeat(lease, controls, self._post.live, self._clock)
            self._seats[number] = seat
            return seat

    def stats(self) -> Mapping[str, float]:
        """Of the studio, and what the present worker has counted."""
        report = self._report()
        counts: dict[str, float] = {**vars(Counts()), "skipped": 0}
        if isinstance(found := report.get("counts"), dict):
            counts |= {str(name): float(value) for name, value in found.items()}
        return {
            "seats": len(self._seats),
            "seats_at_most": self._post.layout.seats,
            "restarts": len(self._supervisor.replaced),
            "largest_batch": float(report.get("largest", 0)),
            **counts,
        }

    def drain(self, seconds: float) -> None:
        self._draining = True
        until = self._clock() + seconds
        while self._seats and self._clock() < until:
            time.sleep(TICK)
        self.close()

    def close(self) -> None:
        """Ends the worker and gives the memory back; seats go on showing what they had. Bounded in time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._board.orders.write({"end": True})
        self._knock.release()
        self._supervisor.close()
        self._board.close()

    def __enter__(self) -> LiveStudio:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _release(self, number: int) -> None:
        with self._lock:
            self._seats.pop(number, None)

    def _standing(self, number: int, tenancy: int) -> Standing:
        serving = self._supervisor.ready and not self._closed
        if not serving:
            return Standing(False, self.state.reason)
        whose, notice, barred = self._report().get("seats", {}).get(str(number), (0, "", False))
        return Standing(True, notice, barred) if whose == tenancy else Standing(True)

    def _report(self) -> Mapping[str, Any]:
        """The worker's newest report."""
        letter = self._board.report.take(self._reported[0])
        if letter is not None:
            self._reported = letter.sequence, letter.words
        return self._reported[1]

    def _refused(self) -> str:
        """Why no worker will ever start, where one has said so."""
        return self._report().get("refused", "")

    def _launch(self, number: int) -> WorkerProcess:
        process = self._context.Process(
            target=worker.main,
            args=(self._body, replace(self._post, number=number), self._knock),
            name=f"sidestream-worker-{number}",
            daemon=True,
        )
        self._board.report.write({})
        process.start()
        return WorkerProcess(process, self._board, self._report, self._post.live.close_timeout)


@dataclass(frozen=True, eq=False)
class WorkerProcess:
    """A worker, as its supervisor sees it."""

    process: BaseProcess
    board: Board
    report: Callable[[], Mapping[str, Any]]
    patience: float

    @property
    def pid(self) -> int | None:
        try:
            return self.process.pid
        except ValueError:  # it has ended
            return None

    def alive(self) -> bool:
        return self.process.is_alive()

    def pulse(self) -> int:
        return self.board.pulse.newest

    def ready(self) -> bool:
        return bool(self.report().get("ready"))

    def end(self) -> None:
        """Waits a moment where it was told to end; else at once."""
        if self.board.orders.newest:
            self.process.join(self.patience)
        self.process.kill()
        self.process.join(self.patience)
        if self.process.exitcode is not None:
            self.process.close()
