"""What a viewer sees at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.conftest import flat
from sidestream.config_live import LiveConfig
from sidestream.live.seat import Lease, LiveSeat, Progress, Standing, origin_of
from sidestream.live.shared import Board, Layout
from sidestream.live.wishes import Wish
from sidestream.types import Controls

CONFIG = LiveConfig(late=1.0, hold=2.0)
SERVED = Standing(True)
INK = Controls(prompt="ink")


class Booth:
    """A seat with a clock set by hand, and the worker's end of its mailboxes."""

    def __init__(self, board: Board) -> None:
        self.now, self.standing, self.knocks, self.released = 50.0, SERVED, 0, 0
        self.place = board.places[0]
        lease = Lease(
            self.place,
            board.layout,
            7,
            64 * 64,
            None,
            lambda: self.standing,
            self.knock,
            self.release,
        )
        self.seat = LiveSeat(lease, INK, CONFIG, lambda: self.now)

    def knock(self) -> None:
        self.knocks += 1

    def release(self) -> None:
        self.released += 1

    def hand_in(self, level: int, seconds: float = 0.1):
        self.now += seconds
        self.seat.submit(flat(level), self.now)
        return self.seat.shown()

    def make(self, level: int, tenancy: int = 7, **tag: object):
        frame = self.place.frames.take()
        assert frame is not None
        tag = replace(frame.tag, tenancy=tenancy, revision=1, **tag)
        self.place.pictures.put(flat(level), tag)
        return self.seat.shown()


@pytest.fixture
def booth() -> Iterator[Booth]:
    board = Board.create(Layout(1, 64 * 64 * 3))
    yield Booth(board)
    board.close()


@pytest.mark.parametrize(
    ("known", "standing", "origin"),
    [
        (Progress(), SERVED, "source"),
        (Progress(True, 99.0), SERVED, "restyled"),
        (Progress(True, 0.0), SERVED, "restyled"),  # nothing newer waits
        (Progress(True, 99.0, waiting=99.5), SERVED, "restyled"),
        (Progress(True, 97.5, waiting=98.5), SERVED, "held"),
        (Progress(True, 96.5, waiting=98.5), SERVED, "source"),
        (Progress(True, 99.0, good=False), SERVED, "held"),
        (Progress(True, 96.5, good=False), SERVED, "source"),
        (Progress(True, 99.0), Standing(False), "held"),
        (Progress(True, 90.0), Standing(False), "source"),
        (Progress(True, 99.0), Standing(True, "wait", barred=True), "source"),
    ],
)
def test_which_picture_it_is(known, standing, origin):
    assert origin_of(known, standing, 100.0, CONFIG) == origin


@given(
    st.builds(
        Progress, st.booleans(), st.floats(0, 100), st.booleans(), st.none() | st.floats(0, 100)
    ),
    st.builds(Standing, st.booleans(), st.just(""), st.booleans()),
)
def test_nothing_stands_still_for_long_while_a_viewer_moves(known, standing):
    origin = origin_of(known, standing, 100.0, CONFIG)
    waits = known.waiting is not None and 100 - known.waiting > CONFIG.late
    if origin != "source":
        assert known.made
    if waits or not standing.serving:
        assert origin != "restyled"
        assert origin == "source" or 100 - known.received <= CONFIG.late + CONFIG.hold


def test_the_picture_carries_the_time_of_its_frame(booth):
    booth.hand_in(1)
    first = booth.now
    booth.hand_in(2)
    found = booth.make(200)
    assert (found.stamp, found.origin, found.revision) == (booth.now, "restyled", 1)
    assert found.stamp > first
    assert booth.knocks == 3


def test_held_then_the_viewers_own_and_back(booth):
    booth.hand_in(1)
    booth.make(200)
    origins = [booth.hand_in(level).origin for level in range(40)]
    assert [origin for n, origin in enumerate(origins) if n == 0 or origin != origins[n - 1]] == [
        "restyled",
        "held",
        "source",
    ]
    assert "behind" not in booth.seat.shown().notice
    assert booth.make(201).origin == "restyled"
    assert booth.seat.stats()["held"] == 1


def test_a_held_picture_keeps_its_number_and_a_new_one_raises_it(booth):
    booth.hand_in(1)
    made = booth.make(200)
    booth.standing = Standing(False, "The model is being loaded.")
    held = booth.hand_in(2)
    assert (held.origin, held.sequence, held.stamp) == ("held", made.sequence, made.stamp)
    assert held.notice == "The model is being loaded."
    booth.standing = SERVED
    assert booth.make(202).sequence == made.sequence + 1


@pytest.mark.parametrize("origin", ["held", "source"])
def test_a_picture_that_failed_is_not_taken(booth, origin):
    booth.hand_in(1)
    booth.make(200)
    booth.hand_in(2)
    found = booth.make(9, origin=origin)
    assert (found.origin, int(found.pixels[0, 0, 0])) == ("held", 200)
    assert "last good picture" in found.notice
    assert booth.seat.stats()["held"] == 2
    booth.hand_in(3)
    assert booth.make(201).origin == "restyled"


def test_the_picture_of_another_viewer_is_not_taken(booth):
    booth.hand_in(1)
    assert booth.make(200, tenancy=6).origin == "source"


def test_counts(booth):
    for level in range(10):
        booth.hand_in(level)
    booth.make(200)
    stats = booth.seat.stats()
    assert (stats["frames"], stats["made"], stats["dropped"]) == (10, 1, 9)
    assert stats["age"] == 0
    for level in range(10):
        booth.hand_in(level)
        booth.make(level)
    assert booth.seat.stats()["fps"] == pytest.approx(10)
    booth.now += 10
    assert booth.seat.stats()["fps"] == 0


def test_a_caller_may_use_its_buffer_again(booth):
    picture = flat(5)
    booth.seat.submit(picture, 0.0)
    picture[:] = 77
    assert (booth.seat.shown().pixels == 5).all()


def test_words_go_out_as_the_model_reads_them(booth):
    booth.seat.change(replace(INK, prompt=" " * 100_000 + "ink \n wash"))
    assert Wish.read(booth.place.wishes.take().words).controls.prompt == "ink wash"
    booth.seat.change(replace(INK, prompt=(("ink ", 1.0), ("oil", 3.0))))
    assert Wish.read(booth.place.wishes.take().words).controls.prompt == (
        ("ink", 1.0),
        ("oil", 3.0),
    )


def test_who_has_left_disturbs_nobody(booth):
    booth.seat.close()
    booth.seat.close()
    last, before = booth.place.wishes.newest, booth.place.frames.newest
    booth.seat.change(replace(INK, prompt="oil"))
    booth.hand_in(1)
    assert (booth.place.wishes.newest, booth.place.frames.newest) == (last, before)
    assert not Wish.read(booth.place.wishes.take().words).taken
    assert booth.released == 1
