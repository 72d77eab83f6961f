"""Studios that are sure to be closed, and what must be gone afterwards."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sidestream.live.process import LiveStudio
from sidestream.live.seat import LiveSeat
from sidestream.live.studio import Shown
from sidestream.types import Pixels

PATIENCE = 60.0
SHARED = Path("/dev/shm")


def flat(level: int, width: int = 64, height: int = 64) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def until(true: Callable[[], bool], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def shown_when(
    seat: LiveSeat,
    true: Callable[[Shown], bool],
    picture: Callable[[int], Pixels] = lambda count: flat(count % 100),
    patience: float = PATIENCE,
) -> Shown:
    """Hands in frames until what is shown is as asked for. There is always something to see."""
    end = time.monotonic() + patience
    count = 0
    while True:
        seat.submit(picture(count), time.monotonic())
        found = seat.shown()
        assert found is not None
        if true(found):
            return found
        assert time.monotonic() < end, f"last was {found.origin} {found.notice!r}"
        count += 1
        time.sleep(0.02)


def restyled(shown: Shown) -> bool:
    return shown.origin == "restyled"


def blocks() -> set[str]:
    return {path.name for path in SHARED.glob("psm_*")} if SHARED.is_dir() else set()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process, no shared memory and no thread of a studio outlives its test."""
    before = blocks()
    yield
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("sidestream-superv")])
    assert multiprocessing.active_children() == []
    assert blocks() <= before


@pytest.fixture
def closing() -> Iterator[Callable[[LiveStudio], LiveStudio]]:
    opened: list[LiveStudio] = []

    def keep(studio: LiveStudio) -> LiveStudio:
        opened.append(studio)
        return studio

    yield keep
    for studio in opened:
        studio.close()
