"""What is remembered between the frames of one video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidestream.config import StreamConfig
from sidestream.scene import Cells
from sidestream.schedule import Memory
from sidestream.types import Controls, Frame, Pixels, Prompt, TextState

if TYPE_CHECKING:
    import torch

Read = Callable[[Controls], tuple[Prompt, ...]]
"""Turns the prompts of controls into token ids of one bucket, refusing what the model cannot read."""


@dataclass(frozen=True, eq=False)
class Planned:
    """Touched by the lane that forms batches only."""

    memory: Memory = Memory()
    last: Frame | None = None
    """The last frame that entered a batch."""
    seen: tuple[int, Cells] | None = None
    """The last frame that came in, small and grey, and its epoch."""


@dataclass(frozen=True, eq=False)
class Side:
    """Touched by the side lane only."""

    epoch: int | None = None
    text: TextState | None = None
    """One row: the newest text."""


@dataclass(frozen=True, eq=False)
class Main:
    """Touched by the main lane only."""

    epoch: int | None = None
    output_CHW: torch.Tensor | None = None
    """The last picture the model made, in [-1, 1]."""
    shown_CHW: torch.Tensor | None = None
    """The same with what it has of the picture before."""
    conditioned: int | None = None
    """Which bank of the adapter holds conditioning of this epoch in the stream's row."""
    good: Pixels | None = None
    """The last finite picture that was delivered. Outlives a failure, but neither a cut nor a reset."""


class Stream:
    """Owns a stream's controls, its epoch, and three parts of memory, each swapped whole by one lane.

    A part belongs to the epoch it is tagged with; for a plan of another epoch it counts as empty.
    """

    def __init__(self, controls: Controls, config: StreamConfig, read: Read, slot: int) -> None:
        self._controls = controls
        self.config = config
        self.read = read
        self.slot = slot
        self.epoch = 0
        self.renewed = "start"
        """What began the epoch."""
        self.planned = Planned()
        self.side = Side()
        self.main = Main()

    @property
    def controls(self) -> Controls:
        return self._controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        self.read(controls)
        self._controls = replace(controls, revision=self._controls.revision + 1)

    def renew(self, why: str) -> None:
        """Nothing of what was is carried into the frames that enter from now on."""
        self.renewed = why
        self.epoch += 1
