"""The body of a worker, in a thread of this process: nano as it is shipped, faults as they come."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from live import bodies
from live.conftest import until
from pictures import sliding
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.live import restyler, worker
from sidestream.live.faults import Fault, FaultPlan, Faults
from sidestream.live.shared import Board, Layout, Tag
from sidestream.live.wishes import Wish
from sidestream.live.worker import Post, Workplace
from sidestream.types import Controls

SCENE = sliding(40, width=64, height=64)
LIVE = LiveConfig(timeout_after_strikes=0.1, max_age=20.0)


class Work:
    """A worker's body in a thread, and the studio's end of its mailboxes."""

    def __init__(self, board: Board) -> None:
        self.board, self.count = board, 0

    def sit(self, *numbers: int, prompt: str = "invert the colors") -> None:
        for number in numbers:
            wish = Wish(1, True, Controls(prompt=prompt, revision=1))
            self.board.places[number].wishes.write(wish.words())

    def play(self, true: Callable[[], bool], *numbers: int) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end, str(self.report)
            self.count += 1
            for number in numbers:
                now = time.monotonic()
                tag = Tag(now, now, tenancy=1)
                self.board.places[number].frames.put(SCENE[self.count % 40], tag)
            time.sleep(0.01)

    def made(self, number: int) -> int:
        return self.board.places[number].pictures.newest

    @property
    def report(self) -> dict:
        letter = self.board.report.take()
        return letter.words if letter else {}


@contextmanager
def working(*faults: Fault, live: LiveConfig = LIVE) -> Iterator[Work]:
    layout = Layout(4, 64 * 64 * 3)
    board = Board.create(layout)
    post = Post(
        model="nano",
        config=ModelConfig(dtype="float32"),
        stream=StreamConfig(size=Size(64, 64)),
        live=live,
        memory=board.name,
        layout=layout,
        warm=Size(64, 64),
        number=1,
        faults=FaultPlan(faults),
    )
    knock = multiprocessing.get_context("spawn").Semaphore(0)
    thread = threading.Thread(target=restyler.restyle, args=(Workplace(post, board, knock),))
    thread.start()
    work = Work(board)
    try:
        until(lambda: bool(work.report.get("ready")) or not thread.is_alive())
        yield work
    finally:
        board.orders.write({"end": True})
        knock.release()
        knock.release()
        thread.join()
        board.close()


def test_what_fails_is_made_again_and_memory_that_ran_out_comes_back(monkeypatch):
    monkeypatch.setattr(restyler, "GROW_AFTER", 2.0)
    points = ("encode_text", "encode_image", "denoise", "decode")
    faults = [Fault(point=point, kind="raise", at=5 * n + 3) for n, point in enumerate(points)]
    full = Fault(point="batch", kind="out_of_memory", frames=2, at=30)
    nan = Fault(point="decode", kind="nan", at=60, times=2)
    with working(*faults, full, nan) as work:
        assert work.report["largest"] == 4
        work.sit(0, 1)
        work.play(lambda: "Memory" in work.report["degraded"], 0, 1)
        assert work.report["largest"] == 2
        work.play(lambda: work.report["counts"]["bad"] > 0, 0, 1)
        work.play(lambda: work.report["largest"] == 4, 0, 1)
        before = work.made(0)
        work.play(lambda: work.made(0) > before + 3, 0, 1)
        assert work.report["counts"]["failed"] == 0


def test_a_seat_that_always_fails_is_left_out():
    with working(Fault(point="batch", kind="raise", seat=1, times=10**9)) as work:
        work.sit(0, 1)
        work.play(lambda: "1" in work.report["seats"], 0, 1)
        before = work.made(0)
        work.play(lambda: work.made(0) > before + 3, 0, 1)
        assert work.made(1) == 0


def test_a_model_that_fails_at_any_picture_ends_the_process(monkeypatch):
    ended: list[int] = []

    def end(code: int) -> None:
        ended.append(code)

    monkeypatch.setattr(restyler.os, "_exit", end)
    with working(Fault(point="denoise", kind="raise", times=10**9)) as work:
        work.sit(0)
        work.play(lambda: bool(ended), 0)
    assert set(ended) == {86}


def test_a_plan_holds_for_the_worker_it_names():
    plan = FaultPlan(
        (
            Fault(point="load", kind="raise", worker=2),
            Fault(point="decode", kind="nan", at=2, worker=None),
        )
    )
    Faults(plan.of(1)).hit("load")
    with pytest.raises(RuntimeError, match="a fault was asked for at load"):
        Faults(plan.of(2)).hit("load")
    faults = Faults(plan.of(1))
    assert [faults.hit("decode") for _ in range(3)] == [False, True, False]
    assert not Faults(FaultPlan())


@pytest.fixture
def post() -> Iterator[Post]:
    layout = Layout(1, 64 * 64 * 3)
    board = Board.create(layout)
    yield Post(
        model="nano",
        config=ModelConfig(),
        stream=StreamConfig(),
        live=LIVE,
        memory=board.name,
        layout=layout,
        warm=None,
        number=1,
    )
    board.close()


def test_a_worker_says_why_it_refuses_and_ends_with_that_code(post):
    handler = signal.getsignal(signal.SIGINT)
    knock = multiprocessing.get_context("spawn").Semaphore(0)
    try:
        with pytest.raises(SystemExit) as ended:
            worker.main(bodies.refuse, post, knock)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended.value.code == 5
    board = Board.attach(post.memory, post.layout)
    assert "these weights cannot be read" in board.report.take().words["refused"]
    board.close()


def test_a_desk_rests_until_somebody_knocks(post):
    knock = multiprocessing.get_context("spawn").Semaphore(0)
    desk = Workplace(post, None, knock)
    for _ in range(5):
        knock.release()
    start = time.monotonic()
    desk.rest(20)
    assert time.monotonic() - start < 10
    assert not knock.acquire(block=False)
    desk.rest(0.01)


def test_what_was_too_much_in_rehearsal_is_not_tried(monkeypatch):
    """Batches as large as went well while the model warmed up are the largest."""
    import torch

    from sidestream.errors import EngineError

    rehearse = restyler._rehearse

    def scarce(stylizer, config, size, slots):
        if len(slots) > 2:
            raise EngineError("no memory") from torch.OutOfMemoryError("no memory")
        return rehearse(stylizer, config, size, slots)

    monkeypatch.setattr(restyler, "_rehearse", scarce)
    with working(live=replace(LIVE, latency=1.0)) as work:
        assert work.report["largest"] == 2
