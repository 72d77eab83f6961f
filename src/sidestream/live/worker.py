"""The worker: a process of its own that loads a model and restyles what it finds in the mailboxes, until it is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from multiprocessing.synchronize import Semaphore
from typing import TYPE_CHECKING

from sidestream.config import LiveConfig, ModelConfig, Size, StreamConfig
from sidestream.errors import SidestreamError
from sidestream.live.faults import FaultPlan, Faults
from sidestream.live.shared import Board, Layout

if TYPE_CHECKING:
    from sidestream.live.feed import Feed
    from sidestream.stylizer import Stylizer


@dataclass(frozen=True, kw_only=True)
class Post:
    """What a worker is told when it starts."""

    model: str
    config: ModelConfig
    stream: StreamConfig
    live: LiveConfig
    memory: str
    layout: Layout
    warm: Size | None
    number: int
    """Which worker of the studio it is, counted from 1."""
    faults: FaultPlan = FaultPlan()


@dataclass(frozen=True, eq=False)
class Desk:
    post: Post
    board: Board
    knock: Semaphore

    def rest(self, seconds: float) -> None:
        """Until something was handed in, or so many seconds."""
        if self.knock.acquire(timeout=seconds):
            while self.knock.acquire(block=False):
                pass


Body = Callable[[Desk], None]


def main(body: Body, post: Post, knock: Semaphore) -> None:
    """What the process runs. An interrupt at the terminal is for the studio to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="sidestream-orphan", daemon=True).start()
    with closing(Board.attach(post.memory, post.layout)) as board:
        try:
            body(Desk(post, board, knock))
        except SidestreamError as error:
            board.report.write({"refused": str(error), "code": error.exit_code})
            sys.exit(error.exit_code)


def restyle(desk: Desk) -> None:
    """The body of a real worker."""
    from sidestream.live.feed import Feed
    from sidestream.stylizer import Stylizer

    post = desk.post
    faults = Faults(post.faults.of(post.number))
    faults.hit("load")
    with Stylizer.load(post.model, post.config) as stylizer:
        feed = Feed(desk.board, stylizer.built.model.read, post.stream, post.live, wake=desk.rest)
        _warm_up(stylizer, feed, post)
        if faults:
            faults.install(stylizer.built)
        Restyler(stylizer, feed).run()


@dataclass(eq=False)
class Restyler:
    """Drives the engine over what the feed gathers, and survives what goes wrong in it."""

    stylizer: Stylizer
    feed: Feed
    degraded: str = ""
    degraded_at: float = 0.0

    def run(self) -> None:
        self.report()
        while not self.feed.ended:
            self.feed.wait()
            try:
                self._burst()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others' pictures go on
                self._recover(error)
            self.report()

    def _burst(self) -> None:
        for styled in self.stylizer.built.engine.run(self.feed.batches()):
            self.feed.deliver(styled)
            self.report()

    def _recover(self, error: Exception) -> None:
        raise error

    def report(self) -> None:
        feed = self.feed
        feed.board.report.write(
            {
                "ready": True,
                "degraded": self.degraded,
                "degraded_at": self.degraded_at,
                "seats": feed.notices(),
                "largest": feed.largest,
                "counts": vars(feed.counts),
            }
        )


def _warm_up(stylizer: Stylizer, feed: Feed, post: Post) -> None:
    """Runs a batch of every size that may come, so that none is slow when it counts, and learns what each costs."""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
