"""Frames into batches and pictures out again, without a process, a model or a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from live.conftest import flat
from pictures import sliding
from sidestream.config import Schedule, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.errors import PromptError
from sidestream.live.autopilot import Effort
from sidestream.live.feed import Feed
from sidestream.live.shared import Board, Layout, Tag
from sidestream.live.sittings import UNCHANGED
from sidestream.live.wishes import Wish
from sidestream.types import Batch, Controls, Prompt, Styled

SCENE = sliding(40, width=64, height=64)


def read(controls: Controls) -> tuple[Prompt, ...]:
    if "unreadable" in str(controls.prompt):
        raise PromptError("the prompt cannot be read")
    return (Prompt((1,) * 16, 4),)


class Stage:
    """A feed with a clock set by hand, and an engine that inverts."""

    def __init__(self, board: Board, live: LiveConfig, config: StreamConfig) -> None:
        self.board, self.now = board, 100.0
        self.feed = Feed(board, read, config, live, clock=lambda: self.now, rest=lambda _: None)
        self.feed.depth = 1

    def sit(self, *numbers: int, tenancy: int = 1, **asked: object) -> None:
        for number in numbers:
            controls = Controls(prompt="ink", **{"revision": 1, **asked})
            self.board.places[number].wishes.write(Wish(tenancy, True, controls).words())

    def hand_in(self, number: int, pixels: np.ndarray, tenancy: int = 1) -> None:
        tag = Tag(stamp=self.now, arrived=self.now, tenancy=tenancy)
        self.board.places[number].frames.put(pixels, tag)

    def step(self) -> Batch | None:
        """One batch through the engine, as far as one waits."""
        batch = next(iter(self.feed.batches()), None)
        if batch is not None:
            for job in batch.jobs:
                made = replace(job.frame, pixels=255 - job.frame.pixels)
                self.feed.deliver(Styled(made, job.frame, job.plan, job.controls, job.stream))
        return batch

    def shown(self, number: int):
        return self.board.places[number].pictures.take()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with_board = Board.create(Layout(4, 64 * 64 * 3))
    yield Stage(with_board, LiveConfig(), StreamConfig())
    with_board.close()


def configured(stage: Stage, live: LiveConfig, config: StreamConfig = StreamConfig()) -> Stage:
    return Stage(stage.board, live, config)


def test_frames_of_several_seats_share_a_batch(stage):
    stage.sit(0, 1, 2)
    assert stage.step() is None
    for number in (0, 1, 2):
        stage.hand_in(number, flat(10 * number))
    batch = stage.step()
    assert batch is not None
    assert (len(batch.jobs), batch.slots) == (3, 4)
    assert [int(stage.shown(n).data[0, 0, 0]) for n in (0, 1, 2)] == [255, 245, 235]
    assert stage.step() is None


def test_the_newest_frame_wins_and_old_ones_are_given_up(stage):
    stage.sit(0)
    stage.step()
    for level in (1, 2, 3):
        stage.hand_in(0, flat(level))
    stage.step()
    assert (stage.shown(0).data == 252).all()
    stage.hand_in(0, flat(4))
    stage.now += 1.5
    assert stage.step() is None
    assert stage.feed.counts.stale == 1


def test_controls_hold_for_the_frame_that_enters_after_them(stage):
    stage.sit(0)
    stage.step()
    stage.hand_in(0, flat(1))
    stage.sit(0, revision=2, seed=7)
    batch = stage.step()
    assert batch.jobs[0].controls.seed == 7
    assert stage.shown(0).tag.revision == 2


def test_other_steps_are_another_batch(stage):
    stage.sit(0)
    stage.sit(1, steps=4)
    stage.step()
    stage.hand_in(0, flat(1))
    stage.hand_in(1, flat(1))
    assert [len(stage.step().jobs), len(stage.step().jobs)] == [1, 1]


def test_a_new_viewer_of_a_seat_gets_nothing_of_the_one_before(stage):
    stage.sit(0)
    stage.step()
    stage.hand_in(0, flat(1))
    first = stage.step().jobs[0].stream
    stage.hand_in(0, flat(2))
    stage.sit(0, tenancy=2)
    assert stage.step() is None
    stage.hand_in(0, flat(3), tenancy=2)
    batch = stage.step()
    assert batch.jobs[0].stream is not first
    assert batch.jobs[0].plan.conditioning == "none"
    assert stage.shown(0).tag.tenancy == 2


def test_who_leaves_is_forgotten(stage):
    stage.sit(0)
    stage.step()
    stage.board.places[0].wishes.write(Wish(1, False, Controls(prompt="ink")).words())
    stage.hand_in(0, flat(1))
    assert stage.step() is None
    assert stage.feed.sittings.known == {}


def test_what_cannot_be_read_leaves_what_was_asked_before(stage):
    stage.sit(0)
    stage.step()
    wish = Wish(1, True, Controls(prompt="unreadable", revision=2))
    stage.board.places[0].wishes.write(wish.words())
    stage.hand_in(0, flat(1))
    assert stage.step().jobs[0].controls.prompt == "ink"
    assert stage.shown(0).tag.revision == 1
    assert stage.feed.sittings.notices(stage.now) == {"0": (1, "the prompt cannot be read.", False)}


def test_who_asked_for_nothing_readable_yet_is_shown_as_they_are_and_told_why(stage):
    wish = Wish(1, True, Controls(prompt="unreadable", revision=1))
    stage.board.places[0].wishes.write(wish.words())
    stage.step()
    stage.hand_in(0, flat(1))
    assert stage.step().jobs[0].controls.prompt == UNCHANGED
    assert stage.feed.sittings.notices(stage.now) == {"0": (1, "the prompt cannot be read.", False)}
    stage.sit(0, revision=2)
    stage.hand_in(0, flat(2))
    assert stage.step().jobs[0].controls.prompt == "ink"
    assert stage.feed.sittings.notices(stage.now) == {}


def test_lost_frames_raise_the_epoch_and_are_made_again(stage):
    stage.sit(0, 1)
    stage.step()
    stage.hand_in(0, flat(1))
    stage.hand_in(1, flat(2))
    batch = next(stage.feed.batches())
    lost = stage.feed.give_up()
    assert [job.stream.epoch for job in batch.jobs] == [1, 1]
    assert [ticket.sitting.stream for ticket in lost] == [job.stream for job in batch.jobs]
    again = next(stage.feed.again(lost[0]))
    assert again.jobs[0].plan.reasons == ("failed",)
    job = again.jobs[0]
    stage.feed.deliver(Styled(job.frame, job.frame, job.plan, job.controls, job.stream))
    assert (stage.shown(0).data == 1).all()


def test_a_stream_that_fails_again_and_again_is_left_out_longer_each_time(stage):
    stage.sit(0)
    stage.step()
    pauses = []
    for _ in range(10):
        stage.hand_in(0, flat(1))
        next(stage.feed.batches())
        for ticket in stage.feed.give_up():
            stage.feed.strike(ticket)
        sitting = stage.feed.sittings.known[0]
        pauses.append(max(0.0, sitting.barred_until - stage.now))
        stage.now = max(stage.now, sitting.barred_until)
    assert pauses == [0, 0, 2, 4, 8, 16, 32, 64, 64, 64]
    stage.hand_in(0, flat(1))
    stage.step()
    assert sitting.notice == ""


def test_a_bad_picture_is_held_or_the_viewers_own(stage):
    stage.sit(0)
    stage.step()
    origins = []
    for pixels in (flat(9), SCENE[0]):
        stage.hand_in(0, SCENE[0])
        job = next(stage.feed.batches()).jobs[0]
        shown = job.frame if pixels is SCENE[0] else replace(job.frame, pixels=pixels)
        styled = Styled(shown, job.frame, job.plan, job.controls, job.stream, good=False)
        stage.feed.deliver(styled)
        origins.append(stage.shown(0).tag.origin)
    assert origins == ["held", "source"]
    assert stage.feed.counts.bad == 2


STILL = LiveConfig(skip_still=True, still_frames=3, still_age=1.0)


def watch(stage: Stage, pictures, seconds: float = 0.05) -> list[bool]:
    """Which of these frames cost a batch. Everyone gets a picture with their own time."""
    cost = []
    for pixels in pictures:
        stage.now += seconds
        stage.hand_in(0, pixels)
        cost.append(stage.step() is not None)
        assert stage.shown(0).tag.stamp == stage.now
    return cost


def test_a_still_picture_costs_nothing_but_a_look_a_second(stage):
    stage = configured(stage, STILL)
    stage.sit(0)
    stage.step()
    cost = watch(stage, [SCENE[0]] * 100)
    assert cost[:4] == [True] * 4
    assert 4 + 4 <= sum(cost) <= 4 + 6
    assert stage.feed.sittings.skipped == 100 - sum(cost)
    assert (stage.shown(0).data == 255 - SCENE[0]).all()


def test_noise_is_still_and_a_small_movement_is_not(stage):
    stage = configured(stage, STILL)
    stage.sit(0)
    stage.step()
    random = np.random.default_rng(0)
    noise = [
        np.clip(SCENE[0] + random.normal(0, 2, SCENE[0].shape), 0, 255).astype(np.uint8)
        for _ in range(20)
    ]
    assert sum(watch(stage, noise)) <= 6
    moved = SCENE[0].copy()
    moved[40:46, 20:26] = 255 - moved[40:46, 20:26]
    assert watch(stage, [moved]) == [True]


def test_slow_drift_is_not_missed(stage):
    """Each frame differs from the one before by less than counts, but what is shown is never far behind."""
    stage = configured(stage, replace(STILL, still_age=100.0))
    stage.sit(0)
    stage.step()
    last, cost = None, 0
    for step in range(200):
        level = 20 + step
        stage.now += 0.05
        stage.hand_in(0, flat(level))
        cost += stage.step() is not None
        last = 255 - int(stage.shown(0).data[0, 0, 0])
        assert abs(last - level) <= 1 + 255 * STILL.still_below * 1.5
    assert cost < 150


def test_other_controls_end_stillness(stage):
    stage = configured(stage, STILL)
    stage.sit(0)
    stage.step()
    watch(stage, [SCENE[0]] * 10)
    stage.sit(0, revision=2)
    assert watch(stage, [SCENE[0]] * 2)[0]
    assert stage.shown(0).tag.revision == 2


def test_without_being_asked_nothing_is_skipped(stage):
    stage.sit(0)
    stage.step()
    assert all(watch(stage, [SCENE[0]] * 10))


def test_less_effort_keeps_the_size_that_viewers_see(stage):
    stage = configured(
        stage,
        LiveConfig(autopilot=True, latency=0.1),
        StreamConfig(schedule=Schedule(cond_every=2)),
    )
    stage.sit(0, steps=4)
    stage.step()
    stage.feed.pilot._memory = replace(stage.feed.pilot._memory, rung=7)
    stage.feed.pilot._rungs = (*stage.feed.pilot._rungs[:7], Effort(1, 4, 0.5))
    stage.board.places[0].frames.put(flat(9, 64, 64), Tag(stage.now, stage.now, tenancy=1))
    batch = stage.step()
    assert batch.key.size == Size(64, 64)
    assert (batch.key.steps, batch.jobs[0].stream.config.schedule.cond_every) == (1, 8)
    assert "one step" in stage.feed.sittings.notices(stage.now)["0"][1]


def test_the_end_ends_the_batches(stage):
    stage.sit(0)
    stage.step()
    stage.hand_in(0, flat(1))
    stage.board.orders.write({"end": True})
    assert stage.step() is None
    assert stage.feed.ended
