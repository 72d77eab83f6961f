"""The loop, on a clock that the test turns: no thread, no sleep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.config_live import ShowLimits
from sidestream.errors import SinkError
from sidestream.live.desk import Desk
from sidestream.live.outlet import Heard
from sidestream.live.show import Show
from sidestream.live.studio import Shown
from sidestream.media.capture import SOUND_RATE, Sound, frame_at
from sidestream.types import Controls, Frame

SIZE = Size(32, 32)


class World:
    """A clock, a source at 25 frames a second, a model that takes 0.1 s, and a sink."""

    def __init__(
        self,
        *,
        until: float = 1e9,
        late: float = 0.1,
        sound: bool = False,
        every: float = 0.04,
        levels: Sequence[int] = (10,),
    ) -> None:
        self.every, self.levels = every, levels
        self.now, self.until, self.late, self.sound = 500.0, 500 + until, late, sound
        self.away: tuple[float, float] = (0.0, 0.0)
        self.next = self.now
        self.controls = Controls(prompt="ink")
        self.made: list[tuple[float, Shown]] = []
        self.put_items: list[Frame | Heard] = []
        self.error: SinkError | None = None
        self.broken, self.name = False, "the sink"
        self.restyled_first = False
        self.submitted = 0

    def clock(self) -> float:
        return self.now

    # As an Intake:
    def take(self, seconds: float) -> Frame | None:
        self.now += max(0.001, seconds)
        begin, end = self.away
        if self.now < self.next or begin <= self.now - 500 < end or self.next > self.until:
            return None
        stamp, self.next = self.next, self.next + self.every
        if self.now - stamp > 1:
            stamp, self.next = self.now, self.now + self.every
        level = self.levels[self.submitted % len(self.levels)]
        return frame_at(np.full((32, 32, 3), level, np.uint8), stamp, 0)

    @property
    def ended(self) -> bool:
        return self.next > self.until

    def sounds(self) -> list[Sound]:
        return [Sound(np.ones((2, 48), np.float32), self.now)] if self.sound else []

    # As a Seat:
    def change(self, controls: Controls) -> int:
        self.controls = replace(controls, revision=self.controls.revision + 1)
        return self.controls.revision

    def submit(self, pixels, stamp: float) -> None:
        self.submitted += 1
        shown = Shown(255 - pixels, stamp, self.submitted, self.controls.revision)
        self.made.append((self.now + self.late, shown))

    def shown(self) -> Shown | None:
        ready = [shown for when, shown in self.made[-20:] if when <= self.now]
        return ready[-1] if ready else None

    # As an Outlet:
    def put(self, item: Frame | Heard) -> None:
        self.put_items.append(item)

    def show(self, desk: Desk | None = None, rate: int = 30, interpolate: bool = False) -> Show:
        return Show(
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            [self],  # type: ignore[list-item]
            desk or Desk(),
            rate=Fraction(rate),
            size=SIZE,
            shape="crop",
            limits=ShowLimits(),
            interpolate=interpolate,
            clock=self.clock,
        )

    def play(self, show: Show, seconds: float | None) -> None:
        show.run(lambda: self.now > 600, seconds, lambda: None)

    @property
    def pictures(self) -> list[Frame]:
        return [item for item in self.put_items if isinstance(item, Frame)]


def test_pictures_go_out_at_a_steady_beat_whatever_comes_in():
    world = World()
    show = world.show()
    world.play(show, 4.0)
    numbers = [frame.pts for frame in world.pictures]
    assert numbers == list(range(len(numbers)))
    assert 3.8 * 30 < len(numbers) <= 4 * 30
    assert all((frame.pixels == 245).all() for frame in world.pictures)
    assert show.tally.frames_in == pytest.approx(100, abs=3)
    assert show.tally.frames_shown == pytest.approx(97, abs=4)
    middle, most = show.tally.latency(0.5), show.tally.latency(0.95)
    assert middle is not None and most is not None and 0.1 <= middle <= most < 0.2


def test_between_two_pictures_one_dissolves_into_the_next_and_none_of_it_counts():
    world = World(every=0.2, levels=range(0, 200, 10))
    show = world.show(interpolate=True)
    world.play(show, 4.0)
    levels = [int(frame.pixels.mean()) for frame in world.pictures[40:]]
    steps = np.abs(np.diff(levels))
    assert np.median(steps) in (1, 2)  # 10 levels in six steps
    assert {255 - level for level in range(0, 200, 10)} & set(
        levels
    )  # the restyled ones themselves
    assert show.tally.frames_shown == pytest.approx(20, abs=3)
    assert show.tally.frames_between > 60
    assert show.tally.frames_out == len(world.pictures)
    late = show.tally.latency(0.5)
    assert late is not None and 0.3 <= late < 0.45  # the model's 0.1 s, and one picture


def test_unless_it_is_asked_for_nothing_is_shown_between():
    world = World(every=0.2, levels=range(0, 200, 10))
    show = world.show()
    world.play(show, 2.0)
    assert {int(frame.pixels.mean()) for frame in world.pictures} <= set(range(65, 256, 10))
    assert show.tally.frames_between == 0


def test_a_sink_that_begins_restyled_gets_nothing_before_and_its_sound_with_it():
    world = World(sound=True)
    world.restyled_first = True
    at_once, model = world.shown, 500.9
    world.shown = lambda: (  # type: ignore[method-assign]
        (found := at_once()) and (found if world.now > model else replace(found, origin="source"))
    )
    show = world.show()
    world.play(show, 2.0)
    first = world.pictures[0]
    assert world.put_items[0] is first
    assert 0.7 * 30 < first.pts < 1.2 * 30 and show.tally.frames_out > len(world.pictures)
    heard = [item for item in world.put_items if isinstance(item, Heard)]
    assert heard[0].seconds == pytest.approx(first.seconds, abs=0.1)


def test_while_a_source_is_away_its_last_picture_is_held():
    world = World()
    world.away = (1.0, 11.0)
    show = world.show()
    world.play(show, 12.0)
    numbers = [frame.pts for frame in world.pictures]
    assert numbers == list(range(len(numbers))) and len(numbers) > 11.8 * 30
    assert show.tally.frames_in < 60


def test_a_machine_that_slept_goes_on_without_a_burst():
    world = World()
    show = world.show()
    world.play(show, 2.0)
    before = len(world.pictures)
    world.now += 60
    world.play(show, 1.0)
    after = len(world.pictures) - before
    assert after < 40
    steps = np.diff([frame.pts for frame in world.pictures])
    assert (steps == 1).sum() == len(steps) - 1 and steps.max() > 59 * 30


def test_a_file_is_shown_to_its_end():
    world = World(until=2.0)
    show = world.show()
    world.play(show, None)
    assert show.tally.frames_in == show.tally.frames_shown == world.submitted >= 50
    assert world.now < 503


def test_a_model_that_never_answers_does_not_hold_up_the_end():
    world = World(until=1.0, late=1e9)
    show = world.show()
    world.play(show, None)
    assert world.now == pytest.approx(503, abs=0.3)
    assert world.pictures == [] and show.tally.latency(0.5) is None


def test_sound_goes_out_without_holes_and_as_late_as_the_picture():
    world = World(sound=True, late=0.2)
    show = world.show()
    world.play(show, 3.0)
    heard = [item for item in world.put_items if isinstance(item, Heard)]
    places = [round(item.seconds * SOUND_RATE) for item in heard]
    ends = [place + item.samples.shape[1] for place, item in zip(places, heard, strict=True)]
    assert places[1:] == ends[:-1]
    whole = np.concatenate([item.samples[0] for item in heard])
    first = np.flatnonzero(whole)[0] / SOUND_RATE
    assert first == pytest.approx(show.pacer.delay, abs=0.05)
    assert show.pacer.delay == pytest.approx(0.2, abs=0.06)


def test_a_wish_holds_from_the_next_frame_on():
    desk = Desk()
    world = World()
    show = world.show(desk)
    desk.ask(prompt="oil")
    world.play(show, 0.5)
    assert {shown.revision for _, shown in world.made} == {1}
    desk.ask(seed=3)
    world.play(show, 1.0)
    assert world.made[-1][1].revision == 2


def test_where_no_sink_is_left_the_show_ends_with_the_reason():
    world = World()
    world.broken, world.error = True, SinkError("the disk is full")
    with pytest.raises(SinkError, match="the disk is full"):
        world.play(world.show(), 4.0)
    world.error = None
    with pytest.raises(SinkError, match="the sink has ended"):
        world.play(world.show(), 4.0)


def test_pictures_are_as_large_as_the_sink_wants():
    world = World()
    show = world.show()
    world.made.append((0.0, Shown(np.zeros((64, 96, 3), np.uint8), 499.0, 99, 0)))
    world.play(show, 0.5)
    assert {frame.pixels.shape for frame in world.pictures} == {(32, 32, 3)}
