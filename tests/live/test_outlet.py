"""A sink in its own lane: the show never waits for it."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from sidestream.config_live import ShowLimits
from sidestream.errors import SinkError
from sidestream.live.outlet import Heard, Outlet
from sidestream.types import Frame

FRAME = Frame(np.zeros((16, 16, 3), np.uint8), 0, Fraction(1, 30), 0)
SOUND = Heard(np.zeros((2, 10), np.float32), 0.0)
QUICK = ShowLimits(retry_first=0.01, retry_last=0.02, outgoing=5, finish=3.0)


class Sink:
    """Notes what it gets; waits or breaks when told."""

    def __init__(self) -> None:
        self.got: list[object] = []
        self.closed = 0
        self.go = threading.Event()
        self.go.set()
        self.breaks: Exception | None = None

    def show(self, frame: Frame) -> None:
        self.go.wait(30)
        if self.breaks is not None:
            raise self.breaks
        self.got.append(frame)

    def hear(self, samples, seconds: float) -> None:
        self.got.append((samples.shape[1], seconds))

    def close(self) -> None:
        self.closed += 1


def until(met, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_all_that_is_put_is_written_in_order():
    sink = Sink()
    lane = Outlet("a file", lambda: sink, returns=False, limits=QUICK)
    lane.begin()
    lane.put(FRAME)
    lane.put(SOUND)
    lane.close()
    assert sink.got == [FRAME, (10, 0.0)]
    assert (lane.written, lane.dropped, sink.closed) == (1, 0, 1)


def test_a_sink_that_cannot_keep_up_drops_and_does_not_wait():
    sink = Sink()
    lane = Outlet("a file", lambda: sink, returns=False, limits=QUICK)
    lane.begin()
    sink.go.clear()
    begun = time.monotonic()
    for _ in range(500):
        lane.put(FRAME)
    assert time.monotonic() - begun < 2
    assert 490 <= lane.dropped < 500
    sink.go.set()
    lane.close()
    assert lane.written == 500 - lane.dropped


def test_a_sink_that_cannot_be_opened():
    def refuse():
        raise SinkError("the server refuses")

    lane = Outlet("a server", refuse, returns=True, limits=QUICK)
    with pytest.raises(SinkError, match="the server refuses"):
        lane.begin()


def test_a_sink_that_never_answers():
    go = threading.Event()

    def hang():
        go.wait(30)
        return Sink()

    lane = Outlet("a server", hang, returns=True, limits=ShowLimits(open_timeout=0.1))
    with pytest.raises(SinkError, match=r"a server cannot be opened.*did not answer in time"):
        lane.begin()
    go.set()


def test_a_sink_that_breaks_in_a_way_of_its_own_when_opened():
    def surprise():
        raise ZeroDivisionError

    lane = Outlet("a server", surprise, returns=True, limits=QUICK)
    with pytest.raises(SinkError, match=r"a server broke .ZeroDivisionError."):
        lane.begin()


def test_a_server_that_went_away_is_met_again():
    sinks = [Sink(), Sink()]
    waiting = iter(sinks)
    lane = Outlet("a server", lambda: next(waiting), returns=True, limits=QUICK)
    lane.begin()
    sinks[0].breaks = SinkError("a server broke off")
    lane.put(FRAME)
    until(lambda: (lane.put(FRAME), sinks[1].got)[1])
    assert lane.reconnects == 1 and not lane.broken
    lane.close()
    assert [sink.closed for sink in sinks] == [1, 1]


def test_a_file_that_breaks_is_at_its_end():
    sink = Sink()
    sink.breaks = SinkError("the disk is full")
    lane = Outlet("a file", lambda: sink, returns=False, limits=QUICK)
    lane.begin()
    until(lambda: (lane.put(FRAME), lane.broken)[1])
    assert str(lane.error) == "the disk is full"
    lane.close()


def test_what_hangs_at_the_end_is_left():
    sink = Sink()
    lane = Outlet("a server", lambda: sink, returns=True, limits=ShowLimits(finish=0.2))
    lane.begin()
    sink.go.clear()
    lane.put(FRAME)
    begun = time.monotonic()
    lane.close()
    assert time.monotonic() - begun < 3
    sink.go.set()
