"""Trains the detail adapter: how far to trust the picture before, and how crisp to move it.

It meets what it will meet: the model's own outputs, the one before already held to one before that, moved by estimated
flow over one to three frames. What it is to give is that output moved by the *known* flow, with the colours of the fresh
one where it is coarse, and the fresh one alone where something came into view; and never less sharp than the fresh one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from sidestream.adapter.detail import TemporalDetail, coarse
from sidestream.flow import Backward
from sidestream.models.dreamlite import DreamLite
from sidestream.train.adapter import moved, stacked
from sidestream.train.lessons import Instruct, prompts_of
from sidestream.train.losses import dullness, edge_loss
from sidestream.train.passages import Passages
from sidestream.types import Warp

FRAMES = 3
"""The first makes a picture to hold to, the second holds to it, the third learns to hold to that."""


@dataclass(frozen=True, kw_only=True)
class DetailHabits:
    batch: int = 3
    gaps: Sequence[int] = (1, 1, 2, 3)
    """Frames between one picture and the next; as likely as they are named."""
    sharp: float = 0.5
    """What it costs to be less sharp than a fresh picture."""


class DetailLoss:
    def __init__(
        self,
        model: DreamLite,
        detail: TemporalDetail,
        passages: Passages,
        styles: Sequence[str],
        instruct: Instruct,
        habits: DetailHabits,
        seed: int,
    ) -> None:
        self._model, self._detail, self._passages = model, detail, passages
        self._styles, self._instruct = tuple(styles), instruct
        self._habits, self._seed = habits, seed

    def __call__(self, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        random = np.random.default_rng((self._seed, step))
        walks = [self._walk(random) for _ in range(self._habits.batch)]
        with torch.no_grad():
            first, second, fresh = self._made(walks, random)
            before = self._detail(second, first, self._way(walks, 1)).clamp(-1, 1)
            wanted = self._wanted(walks, before, fresh)
        given = self._detail(fresh, before, self._way(walks, 2))
        far, dull = (
            F.l1_loss(given, wanted) + 0.5 * edge_loss(given, wanted),
            dullness(given, fresh),
        )
        figures = {"held": float(far.detach()), "dull": float(dull.detach())}
        return far + self._habits.sharp * dull, figures

    def _walk(self, random: np.random.Generator) -> tuple[int, tuple[int, ...]]:
        """A clip, and three of its frames."""
        length = self._passages.frames.shape[1]
        gaps = [gap for gap in self._habits.gaps if (FRAMES - 1) * gap < length]
        gap = int(random.choice(gaps))
        start = int(random.integers(length - (FRAMES - 1) * gap))
        clip = int(random.integers(len(self._passages)))
        return clip, tuple(start + gap * place for place in range(FRAMES))

    def _made(
        self, walks: Sequence[tuple[int, tuple[int, ...]]], random: np.random.Generator
    ) -> tuple[torch.Tensor, ...]:
        """What the model makes of the frames, in one step and with other noise for each."""
        model = self._model
        prompts = [self._instruct(str(random.choice(self._styles)), random) for _ in walks]
        made: list[torch.Tensor] = []
        for place in range(FRAMES):
            inputs = stacked(self._passages.frames[clip, times[place]] for clip, times in walks)
            inputs = inputs.to(model.dtype)
            source = model.encode_image(inputs)
            generator = torch.Generator().manual_seed(int(random.integers(2**62)))
            noise = torch.randn(source.shape, generator=generator).to(model.dtype)
            text = model.encode_text(inputs, prompts_of(model, prompts))
            made.append(model.decode(model.denoise(noise, source, text, 1)).float().clamp(-1, 1))
        return tuple(made)

    def _way(self, walks: Sequence[tuple[int, tuple[int, ...]]], place: int) -> Warp:
        return _batched(
            [self._passages.estimated(clip, *times[place - 1 : place + 1]) for clip, times in walks]
        )

    def _wanted(
        self,
        walks: Sequence[tuple[int, tuple[int, ...]]],
        before: torch.Tensor,
        fresh: torch.Tensor,
    ) -> torch.Tensor:
        ways = [self._passages.known(clip, *times[1:]) for clip, times in walks]
        known = 1 - F.max_pool2d(_batched(ways).occluded_B1HW.float(), 5, stride=1, padding=2)
        there = torch.stack([moved(one, way) for one, way in zip(before, ways, strict=True)])
        held = there + coarse(fresh - there, known)
        return torch.lerp(fresh, held, F.avg_pool2d(known, 5, stride=1, padding=2)).clamp(-1, 1)


def _batched(ways: Sequence[Backward]) -> Warp:
    return Warp(
        torch.from_numpy(np.stack([way.flow for way in ways])),
        torch.from_numpy(np.stack([way.occluded for way in ways]))[:, None],
    )
