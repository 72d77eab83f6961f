"""Which jobs share a batch: consecutive frames of one stream, or a frame each of several streams, live or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import TypeVar

from sidestream import scene
from sidestream.config import BATCH_SIZES, Size, StreamConfig
from sidestream.schedule import plan
from sidestream.stream import Stream
from sidestream.types import Batch, Change, Controls, Frame, Job, Key, Prompt

T = TypeVar("T")

FitFrame = Callable[[Frame, Controls], Frame]
"""Brings a frame to the working size that the controls ask for."""


@dataclass(frozen=True, eq=False)
class Entered:
    """A frame that has come in, with the controls of that moment and how it differs from the one before."""

    frame: Frame
    stream: Stream
    controls: Controls
    prompts: tuple[Prompt, ...]
    change: Change
    epoch: int
    renewed: str

    @property
    def key(self) -> Key:
        height, width = self.frame.pixels.shape[:2]
        return key_of(Size(width, height), self.controls, self.prompts, self.stream.config)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self.controls.prompts)

    def follows(self, other: Entered) -> bool:
        """Whether one plan can cover both: same scene, same shape, same words (weights may differ)."""
        return self.epoch == other.epoch and self.key == other.key and self.texts == other.texts


def consecutive(
    frames: Iterable[Frame], stream: Stream, size: int, fit: FitFrame
) -> Iterator[Batch]:
    """Batches of `size` frames in order; shorter at a cut, at a change that one plan cannot cover, at the end."""
    waiting: list[Entered] = []
    for entered in enter(frames, stream, fit):
        if waiting and (len(waiting) == size or not entered.follows(waiting[-1])):
            yield close(_jobs(waiting), waiting[0].key)
            waiting = []
        waiting.append(entered)
    if waiting:
        yield close(_jobs(waiting), waiting[0].key)


def together(feeds: Sequence[tuple[Stream, Iterable[Frame]]], fit: FitFrame) -> Iterator[Batch]:
    """One frame of every stream in turn, until the last has ended; equal keys share a batch."""
    running = [enter(frames, stream, fit) for stream, frames in feeds]
    while running:
        taken = [(lane, next(lane, None)) for lane in running]
        running = [lane for lane, entered in taken if entered is not None]
        by_key: dict[Key, list[Job]] = {}
        for _, entered in taken:
            if entered is not None:
                by_key.setdefault(entered.key, []).extend(_jobs([entered]))
        for key, jobs in by_key.items():
            for start in range(0, len(jobs), BATCH_SIZES[-1]):
                yield close(jobs[start : start + BATCH_SIZES[-1]], key)


def enter(frames: Iterable[Frame], stream: Stream, fit: FitFrame) -> Iterator[Entered]:
    """Samples the controls as each frame comes in: what was set before frame n was yielded holds for n."""
    for raw in frames:
        controls = stream.controls
        yield arrive(fit(raw, controls), stream, controls)


def arrive(frame: Frame, stream: Stream, controls: Controls) -> Entered:
    """A frame at its working size comes in; where it is not of the scene before, a new epoch begins with it."""
    schedule = stream.config.schedule
    change = Change()
    if schedule.cut_threshold is not None or schedule.motion_budget is not None:
        after, seen = scene.thumbnail(frame.pixels), stream.planned.seen
        if seen is not None and seen[0] == stream.epoch:
            change = scene.compare(seen[1], after)
        if schedule.cut_threshold is not None and change.unexplained > schedule.cut_threshold:
            stream.renew("cut")
        stream.planned = replace(stream.planned, seen=(stream.epoch, after))
    prompts = stream.read(controls)
    return Entered(frame, stream, controls, prompts, change, stream.epoch, stream.renewed)


def admit(
    pairs: Sequence[tuple[Frame, Stream]],
    granted: Callable[[Controls], Controls] = lambda asked: asked,
) -> Batch:
    """A batch of a frame each of several live streams, of equal key and at their working size already."""
    entered = [arrive(frame, stream, granted(stream.controls)) for frame, stream in pairs]
    return close([job for one in entered for job in _jobs([one])], entered[0].key)


def key_of(size: Size, controls: Controls, prompts: Sequence[Prompt], config: StreamConfig) -> Key:
    bucket = (len(prompts), len(prompts[0].ids))
    return Key(size, controls.steps, bucket, config.flow)


def close(jobs: Sequence[Job], key: Key) -> Batch:
    """A batch padded to the next size that the model runs at."""
    return Batch(tuple(jobs), key, slots_for(len(jobs)))


@dataclass(frozen=True)
class Waiting:
    """The newest frame of a live stream that has entered no batch yet."""

    stream: int
    key: Key
    arrived: float
    since: float
    """When the first frame arrived that came after the stream's last turn: newer frames do not put its turn off."""
    served: float = -inf
    """When the stream's last turn was."""


@dataclass(frozen=True)
class Costs:
    """Seconds that a batch took, by its slots, newest counting most."""

    measured: Mapping[int, float] = field(default_factory=dict[int, float])

    def of(self, frames: int) -> float:
        """What so many frames will take; sizes not tried yet are taken to pay a little, so that they are tried."""
        slots = slots_for(frames)
        if not self.measured:
            return 0.0
        near = min(self.measured, key=lambda known: abs(known - slots))
        return self.measured[near] * (slots / near) ** 0.8

    def learn(self, slots: int, seconds: float, share: float = 0.3) -> Costs:
        known = self.measured.get(slots, seconds)
        return Costs({**self.measured, slots: known + share * (seconds - known)})


@dataclass(frozen=True)
class Gathered:
    chosen: tuple[Waiting, ...] = ()
    """Of equal key, one a stream; empty where nothing waits."""
    stale: tuple[Waiting, ...] = ()
    """Frames that have waited too long and are given up."""
    overloaded: bool = False
    """Whether not all that wait can be served in time."""


def gather(
    waiting: Sequence[Waiting],
    now: float,
    costs: Callable[[Key], Costs],
    *,
    latency: float,
    max_age: float,
    largest: int,
) -> Gathered:
    """Which of the frames that wait form the next batch.

    The earliest turn leads; when not all can be served in time, the stream that was served least recently, so that
    everybody's frame rate falls alike. Frames of the leader's key join it in the same order, as many as make the most
    frames a second within everybody's deadline, or, where even one comes too late, as make the most frames a second.
    """
    newest = {one.stream: one for one in sorted(waiting, key=lambda one: one.arrived)}
    stale = tuple(one for one in newest.values() if now - one.arrived > max_age)
    fresh = [one for one in newest.values() if now - one.arrived <= max_age]
    overloaded = _overloaded(fresh, now, costs, latency, largest)
    if overloaded:
        fresh.sort(key=lambda one: (one.served, one.since, one.stream))
    else:
        fresh.sort(key=lambda one: (one.since, one.stream))
    if not fresh:
        return Gathered(stale=stale)
    same = [one for one in fresh if one.key == fresh[0].key][:largest]
    cost = costs(fresh[0].key)
    sizes = range(1, len(same) + 1)
    in_time = [
        count
        for count in sizes
        if now + cost.of(count) <= min(one.since for one in same[:count]) + latency
    ]
    # A larger one must pay visibly: the first frame of a batch waits for the last.
    best = 0
    for count in in_time or sizes:
        if not best or count * cost.of(best) > 1.02 * best * cost.of(count) or not cost.of(count):
            best = count
    return Gathered(tuple(same[:best]), stale, overloaded)


def _overloaded(
    fresh: Sequence[Waiting],
    now: float,
    costs: Callable[[Key], Costs],
    latency: float,
    largest: int,
) -> bool:
    """Whether the first comes too late alone, or the last after all the others."""
    if not fresh:
        return False
    needed = 0.0
    for key, count in Counter(one.key for one in fresh).items():
        whole, rest = divmod(count, largest)
        needed += whole * costs(key).of(largest) + (costs(key).of(rest) if rest else 0.0)
    first, last = (pick(fresh, key=lambda one: one.since) for pick in (min, max))
    alone = costs(first.key).of(1)
    return now + alone > first.since + latency or now + needed > last.since + latency


def slots_for(frames: int) -> int:
    return next(size for size in BATCH_SIZES if size >= frames)


def filled(items: Sequence[T], slots: int) -> list[T]:
    """The last item repeated until every slot has one."""
    return [*items, *[items[-1]] * (slots - len(items))]


def _jobs(entered: Sequence[Entered]) -> list[Job]:
    """One plan for frames of one stream; each job knows the frame before it in its scene."""
    first = entered[0]
    stream = first.stream
    decided, memory = plan(
        stream.config.schedule,
        stream.planned.memory,
        first.controls,
        frames=len(entered),
        size=first.key.size,
        epoch=first.epoch,
        motion=sum(one.change.motion for one in entered),
        renewed=first.renewed,
    )
    previous = None if decided.conditioning == "none" else stream.planned.last
    jobs: list[Job] = []
    for one in entered:
        jobs.append(Job(one.frame, stream, one.controls, decided, one.prompts, previous))
        previous = one.frame
    stream.planned = replace(stream.planned, memory=memory, last=previous)
    return jobs
