"""Temporal consistency and sharpness of restyled clips, by the paper's definitions. Pixels in, numbers out.

Pictures are uint8 RGB of one size. All functions take iterables, look at each picture once and hold two.
Blur alone lowers the warping error: never show it without `sobel` and `hf_fft` beside it, as `measure` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import numpy as np
from numpy.typing import NDArray

from sidestream.errors import ConfigError
from sidestream.flow import Estimate, farneback, grey
from sidestream.types import Pixels

BEST_PSNR = 100.0
"""What equal pictures count as, in dB, so that a clip with one stays finite."""

Clip = Iterable[Pixels]


def warping_error(outputs: Clip, inputs: Clip, *, flow: Estimate = farneback) -> float:
    """Mean |out_t(x) - out_t+1(x + F(x))|, F the flow from in_t to in_t+1, in grey levels, occlusion included."""
    pairs = pairwise(_together(outputs, inputs))
    return _mean(
        _warping_error(out, after, flow(grey(source), grey(target)))
        for (out, source), (after, target) in pairs
    )


def consecutive_l1(outputs: Clip) -> float:
    return _mean(l1(out, after) for out, after in pairwise(outputs))
