"""A live source that is kept going: the newest frame, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from sidestream.config_live import ShowLimits
from sidestream.errors import SourceError
from sidestream.live.intake import Intake
from sidestream.media.capture import Sound, frame_at
from sidestream.types import Frame

QUICK = ShowLimits(stall=0.3, open_timeout=2.0, retry_first=0.02, retry_last=0.05, sounds=4)
PIXELS = np.zeros((16, 16, 3), np.uint8)


class Scripted:
    """A Capture that gives what a function yields."""

    rate, has_sound = Fraction(25), True

    def __init__(self, moments: Callable[[], Iterator[Frame | Sound]]) -> None:
        self._moments = moments
        self.closed = False

    def __iter__(self) -> Iterator[Frame | Sound]:
        return self._moments()

    def close(self) -> None:
        self.closed = True


def frames(count: int, pause: float = 0.0) -> Callable[[], Iterator[Frame]]:
    def give() -> Iterator[Frame]:
        for index in range(count):
            yield frame_at(PIXELS, time.monotonic(), index)
            time.sleep(pause)

    return give


def take(intake: Intake, seconds: float = 20.0) -> Frame:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (frame := intake.take(0.05)) is not None:
            return frame
    raise AssertionError("no frame came")


def test_the_newest_frame_wins_and_the_others_are_counted():
    intake = Intake("a file", lambda: Scripted(frames(50)), at_end="stop", limits=QUICK)
    first = intake.first()
    assert first.pixels is PIXELS
    end = time.monotonic() + 20
    while intake.missed < 49 and time.monotonic() < end:
        time.sleep(0.01)
    assert take(intake).index == 49
    assert intake.missed == 49
    assert intake.take(0.0) is None
    assert intake.ended and not intake.silent()
    assert (intake.rate, intake.has_sound) == (25.0, True)


def test_a_stream_that_ends_is_opened_again():
    intake = Intake("a stream", lambda: Scripted(frames(1)), at_end="pause", limits=QUICK)
    intake.first()
    for _ in range(5):
        take(intake)
    assert intake.reconnects >= 4 and not intake.ended
    intake.close()


def test_a_stream_that_falls_silent_is_left_and_opened_again():
    go, opened = threading.Event(), []

    def stalls() -> Iterator[Frame]:
        yield frame_at(PIXELS, time.monotonic(), 0)
        go.wait(30)
        yield frame_at(PIXELS, time.monotonic(), 666)

    def give() -> Scripted:
        opened.append(Scripted(stalls if not opened else frames(10_000, 0.01)))
        return opened[-1]

    intake = Intake("a stream", give, at_end="pause", limits=QUICK)
    intake.first()
    take(intake)
    went = time.monotonic()
    noticed = False
    while intake.take(0.02) is None:
        noticed |= intake.silent()
        assert time.monotonic() - went < 20
    assert noticed and intake.error == "a stream is silent" and intake.reconnects == 1
    go.set()  # the one that hung comes back, too late: its frames are nobody's
    end = time.monotonic() + 20
    while not opened[0].closed:
        assert time.monotonic() < end
        assert take(intake).index != 666
    intake.close()


def test_a_source_that_cannot_be_opened():
    def refuse():
        raise SourceError("there is no camera 0")

    intake = Intake("camera", refuse, at_end="pause", limits=QUICK)
    with pytest.raises(SourceError, match="there is no camera 0"):
        intake.first()


def test_a_source_that_gives_no_picture():
    intake = Intake("a stream", lambda: Scripted(frames(0)), at_end="stop", limits=QUICK)
    with pytest.raises(SourceError, match="a stream gives no picture"):
        intake.first()


def test_a_source_that_never_answers():
    go = threading.Event()

    def hang():
        go.wait(30)
        return Scripted(frames(1))

    limits = ShowLimits(open_timeout=0.2, stall=0.2)
    intake = Intake("a stream", hang, at_end="pause", limits=limits)
    with pytest.raises(SourceError, match=r"gives no picture .nothing came in time."):
        intake.first()
    go.set()


def test_a_source_that_breaks_after_it_gave_pictures():
    def breaks() -> Iterator[Frame]:
        yield frame_at(PIXELS, time.monotonic(), 0)
        raise SourceError("a stream broke off")

    intake = Intake("a stream", lambda: Scripted(breaks), at_end="pause", limits=QUICK)
    intake.first()
    take(intake)
    take(intake)
    assert intake.error == "a stream broke off"
    intake.close()


def test_sound_waits_within_a_bound():
    def loud() -> Iterator[Frame | Sound]:
        for n in range(10):
            yield Sound(np.zeros((2, 8), np.float32), float(n))
        yield frame_at(PIXELS, time.monotonic(), 0)

    intake = Intake("a file", lambda: Scripted(loud), at_end="stop", limits=QUICK)
    intake.first()
    assert [sound.stamp for sound in intake.sounds()] == [6.0, 7.0, 8.0, 9.0]
    assert intake.sounds() == []
    intake.close()
