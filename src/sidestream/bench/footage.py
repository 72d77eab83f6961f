"""Frames to measure on: drawn once, the same everywhere, and without end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, cycle, islice

from sidestream.config import Size
from sidestream.synth.acts import village
from sidestream.synth.layers import compose
from sidestream.types import Pixels

MOMENTS = 48
"""Different frames; of balloons over a village."""
PROMPT = "transfer this to oil painting style, vibrant colors"


def footage(size: Size, frames: int) -> Iterator[Pixels]:
    """There and back again, so that neither a cut nor a frame that stands still is among them."""
    there = _moments(size)
    return islice(cycle(chain(there, there[-2:0:-1])), frames)


@lru_cache(2)
def _moments(size: Size) -> tuple[Pixels, ...]:
    layers = village(size)
    return tuple(compose(layers, moment / MOMENTS, size) for moment in range(MOMENTS))
