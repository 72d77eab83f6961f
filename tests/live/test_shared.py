"""Mailboxes in shared memory: whole letters, the newest, and nothing left behind."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from live.conftest import blocks
from sidestream.config import Size
from sidestream.errors import EngineError
from sidestream.live.shared import Board, Layout, Mailbox, Tag
from sidestream.live.wishes import Wish
from sidestream.types import Controls

LAYOUT = Layout(2, 64 * 64 * 3)


@pytest.fixture
def board():
    made = Board.create(LAYOUT)
    yield made
    made.close()


def letter(level: int, width: int = 64, height: int = 64):
    return np.full((height, width, 3), level, np.uint8)


def test_the_newest_letter_wins_and_is_read_once(board):
    box = board.places[0].frames
    assert box.take() is None
    for level in range(5):
        box.put(letter(level), Tag(level, 2.0, 3, 4, "held"))
    found = box.take()
    assert found is not None
    assert (found.sequence, found.size) == (5, Size(64, 64))
    assert found.tag == Tag(4, 2.0, 3, 4, "held")
    assert (found.data == 4).all()
    assert box.take(found.sequence) is None


def test_what_one_process_writes_another_reads(board):
    other = Board.attach(board.name, LAYOUT)
    board.places[1].pictures.put(letter(7, 32, 16))
    found = other.places[1].pictures.take()
    assert found is not None
    assert found.data.shape == (16, 32, 3)
    other.report.write({"ready": True})
    found = board.report.take()
    assert found is not None
    assert found.words == {"ready": True}
    other.close()


def test_a_letter_half_written_is_never_read(board):
    """A writer killed in the middle leaves the letter before; the next writer begins over it."""
    box = board.places[0].frames
    box.put(letter(1))
    header, body = box._slot(2)
    header["begun"] = 2
    body[:100] = 9
    assert (box.take().data == 1).all()
    box.put(letter(2))
    assert (box.take(1).data == 2).all()
    header["begun"] = 4
    assert box.take() is None


def test_no_frame_is_torn_while_both_sides_are_busy(board):
    box, stop, seen = board.places[0].frames, threading.Event(), []
    other = Board.attach(board.name, LAYOUT)
    reader = other.places[0].frames

    def read() -> None:
        last = 0
        while not stop.is_set():
            found = reader.take(last)
            if found is not None:
                assert found.sequence > last
                last = found.sequence
                seen.append((int(found.data.min()), int(found.data.max()), int(found.tag.stamp)))

    thread = threading.Thread(target=read)
    thread.start()
    for count in range(20_000):
        box.put(letter(count % 251), Tag(stamp=count % 251))
    stop.set()
    thread.join()
    other.close()
    assert len(seen) > 10
    assert all(low == high == stamp for low, high, stamp in seen)


def test_what_is_too_large_is_refused(board):
    with pytest.raises(EngineError, match="does not fit in a mailbox of 12288"):
        board.places[0].frames.put(letter(1, 65))
    assert LAYOUT.holds(Size(64, 64))
    assert not LAYOUT.holds(Size(96, 64))


def test_a_closed_board_takes_and_gives_nothing():
    before = blocks()
    board = Board.create(LAYOUT)
    board.close()
    board.close()
    box = board.places[0].frames
    assert (box.put(letter(1)), box.take(), box.newest) == (0, None, 0)
    assert blocks() == before


def test_memory_that_is_not_there_is_one_sentence(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = blocks()
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(EngineError, match="no room for 1 MB of shared memory.*--shm-size"):
        Board.create(LAYOUT)
    assert blocks() == before


def test_boxes_do_not_overlap():
    sizes = [Mailbox.bytes_for(room) for room in LAYOUT.rooms]
    assert sum(sizes) == LAYOUT.bytes
    assert all(size % 64 == 0 for size in sizes)


@pytest.mark.parametrize(
    "controls",
    [
        Controls(prompt="ink"),
        Controls(prompt=(("ink", 0.25), ("öl 🎨", 0.75)), size=Size(64, 96), steps=3, fit="pad"),
        Controls(prompt="x", seed=2**63 - 1, strength=0.1, stability=0.0, revision=9),
    ],
)
def test_wishes_survive_their_words(board, controls):
    wish = Wish(3, True, controls)
    board.places[0].wishes.write(wish.words())
    found = board.places[0].wishes.take()
    assert found is not None
    assert Wish.read(found.words) == wish
    assert Wish.read(replace(wish, taken=False).words()) != wish
