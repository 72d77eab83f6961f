"""What is remembered between the frames of one video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidestream.config import StreamConfig
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
    """The last picture after blending; only kept when outputs are blended."""
    conditioned: bool = False
    """The stream's row of the adapter's bank holds conditioning of this epoch."""
    good: Pixels | None = None
    """The last finite picture that was delivered."""


class Stream:
    """Owns a stream's controls, its epoch, and three parts of memory, each swapped whole by one lane.

    A part belongs to the epoch it is tagged with; for a plan of another epoch it counts as empty.
    """

    def __init__(self, controls: Controls, config: StreamConfig, read: Read, slot: int) -> None:
        read(controls)
        self._controls = controls
        self.config = config
        self.read = read
        self.slot = slot
        self.epoch = 0
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

    def renew(self) -> None:
        """Nothing of what was is carried into the frames that enter from now on."""
        self.epoch += 1
