"""The worker process from outside its work: what it is told, how it ends, and that it never outlives the studio."""

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

from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.errors import SidestreamError
from sidestream.live.faults import FaultPlan
from sidestream.live.shared import Board, Layout


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
class Workplace:
    """What a worker works with: what it was told, the memory it shares, and a bell."""

    post: Post
    board: Board
    knock: Semaphore

    def rest(self, seconds: float) -> None:
        """Until something was handed in, or so many seconds."""
        if self.knock.acquire(timeout=seconds):
            while self.knock.acquire(block=False):
                pass


Body = Callable[[Workplace], None]


def main(body: Body, post: Post, knock: Semaphore) -> None:
    """What the process runs. An interrupt at the terminal is for the studio to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="sidestream-orphan", daemon=True).start()
    with closing(Board.attach(post.memory, post.layout)) as board:
        try:
            body(Workplace(post, board, knock))
        except SidestreamError as error:
            board.report.write({"refused": str(error), "code": error.exit_code})
            sys.exit(error.exit_code)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
