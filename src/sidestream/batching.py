"""Which jobs share a batch: consecutive frames of one stream, or a frame each of several streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sidestream import scene
from sidestream.config import BATCH_SIZES, Size
from sidestream.schedule import plan
from sidestream.stream import Stream
from sidestream.types import Batch, Change, Controls, Frame, Job, Key, Prompt

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
        bucket = (len(self.prompts), len(self.prompts[0].ids))
        return Key(Size(width, height), self.controls.steps, bucket, self.stream.config.flow)

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
    schedule = stream.config.schedule
    watched = schedule.cut_threshold is not None or schedule.motion_budget is not None
    for raw in frames:
        controls = stream.controls
        frame = fit(raw, controls)
        change = Change()
        if watched:
            after, seen = scene.thumbnail(frame.pixels), stream.planned.seen
            if seen is not None and seen[0] == stream.epoch:
                change = scene.compare(seen[1], after)
            if schedule.cut_threshold is not None and change.unexplained > schedule.cut_threshold:
                stream.renew("cut")
            stream.planned = replace(stream.planned, seen=(stream.epoch, after))
        prompts = stream.read(controls)
        yield Entered(frame, stream, controls, prompts, change, stream.epoch, stream.renewed)


def close(jobs: Sequence[Job], key: Key) -> Batch:
    """A batch padded to the next size that the model runs at."""
    return Batch(tuple(jobs), key, next(size for size in BATCH_SIZES if size >= len(jobs)))


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
