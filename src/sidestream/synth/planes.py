"""One value a pixel, to be shown in colours: noise, slow changes, coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from math import tau
from typing import NamedTuple

import numpy as np

from sidestream.synth.layers import Plane
from sidestream.synth.palettes import Colours, Random
from sidestream.types import Pixels


class Ground(NamedTuple):
    """What a texture has to fill, and with what."""

    rows: int
    columns: int
    colours: Colours
    photos: Sequence[Pixels]

    @property
    def side(self) -> int:
        return max(self.rows, self.columns)


def fractal(random: Random, rows: int, columns: int, exponent: float, stretch: float = 1) -> Plane:
    """Noise around a half whose amplitudes fall with that power of frequency, stretched along some direction."""
    angle = random.uniform(0, tau)
    fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)
    along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
    squared = ((along * stretch) ** 2 + (across / stretch) ** 2).astype(np.float32)
    squared[0, 0] = np.inf
    weights = squared ** np.float32(-exponent / 2)
    white = random.standard_normal((rows, columns), np.float32)
    plane = np.fft.irfft2(np.fft.rfft2(white) * weights, (rows, columns))
    return np.asarray(0.5 + 0.2 * plane / (plane.std() + 1e-9), np.float32)


def smooth(random: Random, rows: int, columns: int, cells: int) -> Plane:
    """Slow changes from 0 to 1."""
    import cv2

    coarse = random.random((cells + 1, cells + 1), np.float32)
    return np.asarray(
        cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32
    )


def grid(random: Random, ground: Ground, cell: float) -> tuple[Plane, Plane]:
    """Coordinates in cells, turned by any angle and receding as often as not."""
    y, x = np.mgrid[: ground.rows, : ground.columns].astype(np.float32)
    y, x = y - ground.rows / 2, x - ground.columns / 2
    angle = random.choice((0, 0, tau / 8, random.uniform(0, tau)))
    if random.random() < 0.5:
        nearness = 1 + random.uniform(0.3, 0.9) * y * 2 / ground.rows
        y, x = y / nearness, x / nearness
    u = (np.cos(angle) * x + np.sin(angle) * y) / cell
    v = (np.cos(angle) * y - np.sin(angle) * x) / cell
    return u.astype(np.float32), v.astype(np.float32)
