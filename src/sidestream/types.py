"""The nouns of the engine, small and frozen, so that lanes can hand them on without thought.

Shape letters used in names across the package: B batch, K steps, C channels, H W pixels (or tokens of a
grid), L text tokens, N tokens of a picture grid, D width of a hidden state, P patches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sidestream.config import LIMITS, Fit, FlowName, Size, StreamConfig, check_size, within
from sidestream.errors import PromptError

if TYPE_CHECKING:
    import torch

    from sidestream.stream import Stream

DEFAULTS = StreamConfig()

Pixels = NDArray[np.uint8]
"""uint8, height x width x 3, RGB."""

Prompts = str | tuple[tuple[str, float], ...]
"""An instruction, or several with weights."""

Text = Literal["per_frame", "first_frame", "reuse"]
Conditioning = Literal["none", "refresh", "reuse"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and when it is shown."""

    pixels: Pixels
    pts: int
    time_base: Fraction
    index: int
    """Position in its source, from 0."""

    @property
    def seconds(self) -> float:
        return float(self.pts * self.time_base)


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What a user may ask for while a stream runs."""

    prompt: Prompts = ""
    """An instruction, or several with weights that cross-fade."""
    strength: float = DEFAULTS.strength
    stability: float = DEFAULTS.stability
    seed: int = DEFAULTS.seed
    steps: int = DEFAULTS.steps
    size: Size | None = DEFAULTS.size
    fit: Fit = DEFAULTS.fit
    revision: int = 0

    def __post_init__(self) -> None:
        within(0, 1, strength=self.strength, stability=self.stability)
        within(1, LIMITS.max_steps, steps=self.steps)
        within(0, 2**63 - 1, seed=self.seed)
        if self.size is not None:
            check_size(self.size)
        if not 1 <= len(self.prompts) <= LIMITS.prompts_at_once:
            raise PromptError(
                f"give 1 to {LIMITS.prompts_at_once} prompts at once, got {len(self.prompts)}"
            )
        if not all(weight >= 0 for _, weight in self.prompts) or not 0 < self.total_weight < inf:
            raise PromptError(
                f"prompt weights must be 0 or more and not all 0, got {self.prompt!r}"
            )

    @classmethod
    def of(cls, config: StreamConfig, prompt: Prompts) -> Controls:
        """As a stream of that configuration begins."""
        return cls(
            prompt=prompt,
            strength=config.strength,
            stability=config.stability,
            seed=config.seed,
            steps=config.steps,
            size=config.size,
            fit=config.fit,
        )

    @property
    def prompts(self) -> tuple[tuple[str, float], ...]:
        return ((self.prompt, 1.0),) if isinstance(self.prompt, str) else self.prompt

    @property
    def total_weight(self) -> float:
        return sum(weight for _, weight in self.prompts)


@dataclass(frozen=True)
class Change:
    """How a frame differs from the one before it in its stream, measured on small grey pictures."""

    motion: float = 0.0
    """How far the picture moved, in frame widths, or changed in brightness, whichever is larger."""
    unexplained: float = 0.0
    """Share of the picture that the frame before does not explain, 0 to 1: high at a cut."""
    stir: float = 0.0
    """Largest change of brightness in any small part of the picture, 0 to 1: a mouth that moves, but hardly noise."""


@dataclass(frozen=True)
class Plan:
    """What one stream's next frames compute anew and what they reuse, and why. Decided in schedule.py."""

    steps: int
    size: Size
    text: Text
    conditioning: Conditioning
    epoch: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids of the model's own template."""

    ids: tuple[int, ...]
    """Padded on the right to a bucket."""
    length: int
    """How many of them count."""
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Job:
    """One frame of one stream with its plan."""

    frame: Frame
    """Fitted to the plan's size."""
    stream: Stream
    controls: Controls
    plan: Plan
    prompts: tuple[Prompt, ...]
    previous: Frame | None = None
    """The frame before this one in the same scene of its stream, if there is one."""

    @property
    def holds_details(self) -> bool:
        """Whether a detail adapter, where there is one, has anything to do."""
        return self.plan.conditioning != "reuse" and self.controls.stability > 0

    def steps_on(self, *, detail: bool) -> bool:
        """Whether what is shown builds on the picture shown just before: by a blend, or through a detail adapter."""
        return self.stream.config.blend > 0 or (detail and self.holds_details)


@dataclass(frozen=True)
class Key:
    """Jobs can share a batch when their keys are equal."""

    size: Size
    steps: int
    bucket: tuple[int, int]
    """Number of prompts, and text tokens each is padded to."""
    flow: FlowName


@dataclass(frozen=True, eq=False)
class Flows:
    """For each job of a batch, where its pixels were: backward flow in pixels, and where it cannot be trusted."""

    anchor: tuple[NDArray[np.float32] | None, ...]
    """H x W x 2 to the stream's last frame before the batch; None where nothing can be warped."""
    occluded: tuple[NDArray[np.bool_] | None, ...]
    step: tuple[NDArray[np.float32] | None, ...] = ()
    """The same to the frame just before, only where what is shown builds on it."""
    step_occluded: tuple[NDArray[np.bool_] | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Trails:
    """Which frames flow is looked for between, where that is done on the device."""

    before: tuple[Frame | None, ...]
    """For each job of a batch the frame just before; None where nothing can be warped."""
    anchored: bool
    """Whether flow to the stream's last frame before the batch is asked for."""
    stepwise: bool
    """Whether flow to the frame just before is."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One to B jobs of equal key."""

    jobs: tuple[Job, ...]
    key: Key
    slots: int
    """Size the batch is padded to."""
    flows: Flows | Trails | None = None
    """None: nothing is warped."""

    @property
    def padded(self) -> tuple[Job, ...]:
        """The jobs, the last repeated until every slot is taken."""
        return self.jobs + (self.jobs[-1],) * (self.slots - len(self.jobs))


@dataclass(frozen=True, eq=False)
class TextState:
    """What the encoder says of pictures and instructions, ready for cross-attention. Row = job, n prompts each."""

    kv: torch.Tensor
    """Keys and values: B x attention layers x 2 x kv heads x (picture tokens + n * L) x head width."""
    counts_BnL: torch.Tensor
    """1 where a prompt's token counts, 0 where it pads."""
    weights_Bn: torch.Tensor
    """The prompts' weights, 1 in sum."""

    def rows(self, index: torch.Tensor) -> TextState:
        return TextState(
            self.kv.index_select(0, index),
            self.counts_BnL.index_select(0, index),
            self.weights_Bn.index_select(0, index),
        )

    def row(self, place: int) -> TextState:
        """A view of one row."""
        one = slice(place, place + 1)
        return TextState(self.kv[one], self.counts_BnL[one], self.weights_Bn[one])


@dataclass(frozen=True, eq=False)
class Warp:
    """Backward flow of every slot, and where it cannot be trusted: everywhere in a slot without flow."""

    backward_BHW2: torch.Tensor
    occluded_B1HW: torch.Tensor

    def row(self, place: int) -> Warp:
        one = slice(place, place + 1)
        return Warp(self.backward_BHW2[one], self.occluded_B1HW[one])


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch with everything the main lane needs."""

    batch: Batch
    inputs_BCHW: torch.Tensor
    """The inputs in [-1, 1], float32, padded to the batch's slots."""
    source_BCHW: torch.Tensor
    """Their latents."""
    text: TextState
    noise_BCHW: torch.Tensor
    anchor: Warp | None = None
    """From the last frame before the batch, where conditioning is refreshed."""
    step: Warp | None = None
    """From the frame just before, where what is shown builds on it."""


@dataclass(frozen=True, eq=False)
class Styled:
    """One restyled frame."""

    frame: Frame
    """The result, with the time and index of the frame it was made from."""
    source: Frame
    """The input at the working size."""
    plan: Plan
    controls: Controls
    stream: Stream | None = None
    good: bool = True
    """False: the model gave no finite picture and the last good one is shown."""

    @property
    def pixels(self) -> Pixels:
        return self.frame.pixels

    @property
    def revision(self) -> int:
        return self.controls.revision


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measurement, with its configuration and environment."""

    table: str
    row: str
    metrics: dict[str, float]
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    environment: dict[str, Any] = field(default_factory=dict[str, Any])
    clip: str | None = None
