"""Holds a latency by making pictures cheaper, and better again when there is time. Decides alone, for all viewers alike,
so that their frames go on sharing batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidestream.config import LIMITS, SIZE_MULTIPLE, Schedule, Size
from sidestream.config_live import LiveConfig
from sidestream.types import Controls

LATE, EARLY = 1.1, 0.6
"""Shares of the target: between them nothing changes."""
SMOOTHING = 0.2
LONGEST = 16
"""How many times `better_after` is waited at most."""


@dataclass(frozen=True)
class Effort:
    """What may be spent on a picture. Never more than was asked for."""

    steps: int | None = None
    """At most; None: as asked."""
    refresh: int = 1
    """Text and conditioning may be so many times as old as asked."""
    scale: float = 1.0
    """Of width and height inside; what viewers see keeps its size."""

    def idle(self, asked_steps: int) -> bool:
        """Whether it makes nothing cheaper for viewers who ask for so few steps."""
        spared = self.refresh > 1 or self.scale < 1
        return not spared and self.steps is not None and self.steps >= asked_steps

    def controls_of(self, asked: Controls) -> Controls:
        return replace(asked, steps=min(asked.steps, self.steps or asked.steps))

    def size_of(self, asked: Size) -> Size:
        def side(length: int) -> int:
            shrunk = int(length * self.scale) // SIZE_MULTIPLE * SIZE_MULTIPLE
            return min(length, max(SIZE_MULTIPLE * 2, shrunk))

        return asked if self.scale == 1 else Size(side(asked.width), side(asked.height))

    def schedule_of(self, asked: Schedule) -> Schedule:
        return replace(
            asked,
            text_every=asked.text_every * self.refresh,
            cond_every=asked.cond_every * self.refresh,
        )

    @property
    def words(self) -> str:
        """What a viewer is told."""
        parts = [f"at most {self.steps} steps" if self.steps and self.steps > 1 else ""]
        parts.append("one step" if self.steps == 1 else "")
        parts.append(
            f"text and conditioning {self.refresh} times as old" if self.refresh > 1 else ""
        )
        parts.append(f"{self.scale:.0%} of the size inside" if self.scale < 1 else "")
        return ", ".join(part for part in parts if part)


def ladder(steps: int, smallest: float) -> tuple[Effort, ...]:
    """From what was asked for to the cheapest, each rung cheaper than the one before."""
    rungs = [Effort()]
    while (last := rungs[-1].steps or steps) > 1:
        rungs.append(Effort(last // 2 if last > 2 else 1))
    rungs += [replace(rungs[-1], refresh=refresh) for refresh in (2, 4)]
    scales = (scale for scale in (0.75, 0.5, 0.25) if scale >= smallest)
    return (*rungs, *(replace(rungs[-1], scale=scale) for scale in scales))


@dataclass(frozen=True)
class Steering:
    """What the controller remembers."""

    rung: int = 0
    latency: float | None = None
    """Smoothed."""
    since: float = 0.0
    """When it last changed something, or the latency was last right."""
    patience: float = 1.0
    """Times `better_after` before something better is tried."""
    tried: bool = False
    """Whether the last change was towards better."""


def steer(memory: Steering, latency: float, now: float, config: LiveConfig, rungs: int) -> Steering:
    """One rung down when it has been late for a while, one up when it has been early for longer.

    A step up that proves too much doubles the wait before the next, so that it does not swing for ever.
    """
    before = memory.latency if memory.latency is not None else latency
    smooth = before + SMOOTHING * (latency - before)
    after = replace(memory, latency=smooth)
    late, early = smooth > LATE * config.latency, smooth < EARLY * config.latency
    if late and memory.rung < rungs - 1:
        if now - memory.since < config.cheaper_after:
            return after
        patience = min(LONGEST, 2 * memory.patience) if memory.tried else memory.patience
        return Steering(memory.rung + 1, None, now, patience)
    if early and memory.rung > 0:
        if now - memory.since < config.better_after * memory.patience:
            return after
        return Steering(memory.rung - 1, None, now, memory.patience, tried=True)
    return replace(after, since=now)


class Pilot:
    """Owns what the controller remembers in a worker."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._rungs = ladder(LIMITS.max_steps, config.smallest)
        self._memory = Steering()

    @property
    def effort(self) -> Effort:
        return self._rungs[self._memory.rung]

    def note(self, latency: float, now: float, asked_steps: int) -> None:
        """A picture went out so long after its frame came in; viewers ask for so many steps at most."""
        before = self._memory.rung
        memory = steer(self._memory, latency, now, self._config, len(self._rungs))
        while memory.rung != before and self._rungs[memory.rung].idle(asked_steps):
            memory = replace(memory, rung=memory.rung + (1 if memory.rung > before else -1))
        self._memory = memory

    @property
    def stats(self) -> dict[str, float]:
        effort = self.effort
        return {
            "autopilot_rung": self._memory.rung,
            "autopilot_steps": effort.steps or LIMITS.max_steps,
            "autopilot_refresh": effort.refresh,
            "autopilot_scale": effort.scale,
        }
