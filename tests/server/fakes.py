"""A studio without a model: a prompt is a change of colour, and what it is asked for it writes down."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sidestream.errors import ConfigError, FullError
from sidestream.live.studio import Shown, State
from sidestream.types import Controls, Pixels

TINTS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def paint(pixels: Pixels, controls: Controls) -> Pixels:
    """Inverted, or half of it a colour that the prompt names; of several prompts, each by its weight."""
    parts = [
        _tinted(pixels, text).astype(np.float32) * weight / controls.total_weight
        for text, weight in controls.prompts
    ]
    return np.sum(parts, axis=0).astype(np.uint8)


def _tinted(pixels: Pixels, prompt: str) -> Pixels:
    for name, tint in TINTS.items():
        if name in prompt:
            return ((pixels // 2) + np.array(tint, np.uint8) // 2).astype(np.uint8)
    return 255 - pixels


def _check(controls: Controls) -> None:
    if "unreadable" in str(controls.prompt):
        raise ConfigError("the prompt has 400 tokens")


@dataclass
class FakeSeat:
    studio: FakeStudio
    controls: Controls
    submitted: int = 0
    changes: int = 0
    closed: bool = False
    origin: str = "restyled"
    newest: Shown | None = None
    made: deque[tuple[float, Shown]] = field(default_factory=deque[tuple[float, Shown]])

    def change(self, controls: Controls) -> int:
        _check(controls)
        self.changes += 1
        self.controls = replace(controls, revision=self.controls.revision + 1)
        return self.controls.revision

    def submit(self, pixels: Pixels, stamp: float) -> None:
        self.submitted += 1
        if self.submitted % self.studio.every:
            return
        height, width = (side // 32 * 32 for side in pixels.shape[:2])
        restyled = paint(pixels[: max(height, 32), : max(width, 32)], self.controls)
        made = Shown(
            restyled,
            stamp,
            self.submitted,
            self.controls.revision,
            self.origin,
            "wait",  # type: ignore[arg-type]
        )
        self.made.append((time.monotonic() + self.studio.seconds, made))

    def shown(self) -> Shown | None:
        if self.studio.broken:
            raise RuntimeError("a fault that a test asked for")
        while self.made and self.made[0][0] <= time.monotonic():
            self.newest = self.made.popleft()[1]
        return self.newest

    def stats(self) -> Mapping[str, float]:
        return {"frames_in": self.submitted, "frames_out": self.submitted, "fps": 20.0}

    def close(self) -> None:
        self.closed = True
        self.studio.seats.remove(self)


@dataclass
class FakeStudio:
    places: int = 8
    every: int = 1
    """Of so many frames one is restyled."""
    seconds: float = 0.0
    """How long each takes."""
    state: State = State("ok")
    seats: list[FakeSeat] = field(default_factory=list[FakeSeat])
    closed: bool = False
    broken: bool = False

    def open(self, controls: Controls) -> FakeSeat:
        if len(self.seats) >= self.places:
            raise FullError("every seat is taken")
        _check(controls)
        self.seats.append(FakeSeat(self, controls))
        return self.seats[-1]

    def stats(self) -> Mapping[str, float]:
        return {"restarts": 0}

    def drain(self, seconds: float) -> None:
        self.state = State("draining")

    def close(self) -> None:
        self.closed = True
