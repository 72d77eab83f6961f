"""What the next frames of a stream compute anew and what they reuse. The only place that decides."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from sidestream.config import Schedule, Size
from sidestream.config_live import LiveConfig
from sidestream.types import Change, Conditioning, Controls, Plan, Text


@dataclass(frozen=True)
class Age:
    """How far behind something is, in frames and in motion."""

    frames: int = 0
    motion: float = 0.0

    def after(self, frames: int, motion: float) -> Age:
        return Age(self.frames + frames, self.motion + motion)


@dataclass(frozen=True)
class Memory:
    """What planning remembers of a stream."""

    epoch: int | None = None
    texts: tuple[str, ...] = ()
    size: Size | None = None
    text: Age = Age()
    conditioning: Age | None = None
    """None: there is none yet in this epoch."""


def plan(
    schedule: Schedule,
    memory: Memory,
    controls: Controls,
    *,
    frames: int,
    size: Size,
    epoch: int,
    motion: float = 0.0,
    renewed: str = "start",
) -> tuple[Plan, Memory]:
    """The plan of a stream's next `frames` frames, and what to remember for the one after.

    The first frames of an epoch carry nothing over: their text is new and no conditioning exists, because of what
    `renewed` the stream (start, cut, reset, failed, left). After that a new prompt refreshes both; else each is
    refreshed before its oldest use would pass its interval, or as soon as the motion budget is spent.
    """
    texts = tuple(text for text, _ in controls.prompts)
    changed = None
    fresh = memory.epoch != epoch or memory.size != size
    if fresh:
        changed = renewed if memory.epoch != epoch else "size"
        memory = Memory(epoch, texts, size)
    elif texts != memory.texts:
        changed = "prompt"

    text_age = memory.text.after(frames, motion)
    text_due = changed or _due("text", schedule, schedule.text_every, text_age)
    text: Text = "reuse"
    if text_due:
        text = "first_frame" if schedule.text_first_frame_only else "per_frame"
        text_age = Age(frames - 1 if schedule.text_first_frame_only else 0)

    age = memory.conditioning.after(frames, motion) if memory.conditioning else None
    age_due = changed or _due("conditioning", schedule, schedule.cond_every, age)
    conditioning: Conditioning = "none" if fresh else "refresh" if age_due else "reuse"
    if conditioning == "refresh":
        age = Age()

    reasons = tuple(dict.fromkeys(why for why in (text_due, age_due) if why))
    decided = Plan(controls.steps, size, text, conditioning, epoch, reasons=reasons)
    return decided, Memory(epoch, texts, size, text_age, age)


@dataclass(frozen=True)
class Stillness:
    """What is remembered of how still a live picture has been."""

    frames: int = 0
    """Still ones in a row."""
    rendered: float = -inf
    """When the last frame was restyled."""


def skip(
    config: LiveConfig, memory: Stillness, change: Change | None, now: float
) -> tuple[bool, Stillness]:
    """Whether a live frame shows its stream's last output again instead of being restyled.

    `change` is to the frame that was restyled last, so that slow drift adds up; None where it must be restyled anyway,
    because something else was asked for. It takes several still frames to begin, and one that is not to end.
    """
    begun = memory.frames >= config.still_frames
    limit = config.still_below * (1.5 if begun else 1)
    if not config.skip_still or change is None or change.stir > limit:
        return False, Stillness(0, now)
    frames = memory.frames + 1
    if frames <= config.still_frames or now - memory.rendered >= config.still_age:
        return False, Stillness(frames, now)
    return True, Stillness(frames, memory.rendered)


def _due(what: str, schedule: Schedule, every: int, age: Age | None) -> str | None:
    """Why `what` must be refreshed now, if it must; `age` is what its last use would reach."""
    if age is None:
        return f"{what} first"
    if age.frames >= every:
        return f"{what} age"
    if schedule.motion_budget is not None and age.motion >= schedule.motion_budget:
        return f"{what} motion"
    return None
