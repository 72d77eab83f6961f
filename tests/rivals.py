"""The loops that ours is compared with, on lively nano at 64x64."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch

import lively
from sidestream.adapter.temporal import randomise
from sidestream.bench.footage import footage
from sidestream.build import Loaded, attached
from sidestream.config import ModelConfig, Size
from sidestream.models import zoo
from sidestream.types import Frame, Pixels

SIZE = Size(64, 64)


def loaded(adapter: bool = False) -> Loaded:
    parts = lively.components().to(torch.device("cpu"), torch.float32)
    made = None
    if adapter:
        made = attached(parts, ModelConfig())
        randomise(made, seed=0, gain=2.0)
    return Loaded(zoo.find("nano"), parts, made)


def frames(count: int) -> list[Frame]:
    return [
        Frame(pixels, index, Fraction(1, 24), index)
        for index, pixels in enumerate(footage(SIZE, count))
    ]


def difference(one: Pixels | Sequence[Pixels], other: Pixels | Sequence[Pixels]) -> float:
    return float(np.abs(np.asarray(one, int) - np.asarray(other, int)).mean())
