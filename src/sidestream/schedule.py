"""What the next frames of a stream compute anew and what they reuse. The only place that decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidestream.config import Schedule, Size
from sidestream.types import Conditioning, Controls, Plan, Text


@dataclass(frozen=True)
class Memory:
    """What planning remembers of a stream: how old things are, in frames and in motion."""

    epoch: int | None = None
    texts: tuple[str, ...] = ()
    size: Size | None = None
    text_age: int = 0
    text_motion: float = 0.0
    cond_age: int | None = None
    """None: nothing has been conditioned in this epoch yet."""
    cond_motion: float = 0.0


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
    `renewed` the stream (start, cut, reset, failed, left). After that
    a new prompt refreshes both; else each is refreshed before its oldest use would pass its interval, or as
    soon as the motion budget is spent.
    """
    texts = tuple(text for text, _ in controls.prompts)
    fresh = memory.epoch != epoch or memory.size != size
    reasons: list[str] = []
    if fresh:
        reasons.append(renewed if memory.epoch != epoch else "size")
        memory = Memory(epoch, texts, size)
    elif texts != memory.texts:
        reasons.append("prompt")
    forced = bool(reasons)

    text_why = _due(
        schedule, schedule.text_every, memory.text_age + frames, memory.text_motion + motion
    )
    text: Text = "reuse"
    if forced or text_why:
        text = "first_frame" if schedule.text_first_frame_only else "per_frame"
        reasons += [f"text {text_why}"] if not forced else []

    conditioning: Conditioning = "reuse"
    cond_age = memory.cond_age
    if fresh:
        conditioning = "none"
    elif cond_age is None:
        conditioning = "refresh"
        reasons.append("conditioning first")
    else:
        cond_why = _due(
            schedule, schedule.cond_every, cond_age + frames, memory.cond_motion + motion
        )
        if forced or cond_why:
            conditioning = "refresh"
            reasons += [f"conditioning {cond_why}"] if not forced else []

    text_now = text != "reuse"
    cond_now = conditioning == "refresh"
    after = replace(
        memory,
        texts=texts,
        text_age={"per_frame": 0, "first_frame": frames - 1}.get(text, memory.text_age + frames),
        text_motion=0.0 if text_now else memory.text_motion + motion,
        cond_age=0 if cond_now else None if cond_age is None else cond_age + frames,
        cond_motion=0.0 if cond_now else memory.cond_motion + motion,
    )
    decided = Plan(
        steps=controls.steps,
        size=size,
        text=text,
        conditioning=conditioning,
        epoch=epoch,
        reasons=tuple(reasons),
    )
    return decided, after


def _due(schedule: Schedule, every: int, age: int, motion: float) -> str | None:
    """Why something must be refreshed now, if it must; `age` is what its last use would reach."""
    if age >= every:
        return "age"
    if schedule.motion_budget is not None and motion >= schedule.motion_budget:
        return "motion"
    return None
