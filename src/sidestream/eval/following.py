"""How far apart two pictures are in look, and which style's painting a picture is nearest to.

Pixels alone would call a flat average of all styles near to each of them, and a stroke that is a pixel aside a
mistake. So pictures are compared by what is in their cells: colour (mean Lab), contrast (spread of Lab) and strokes
(strength of the lightness' gradient in four directions, which a blur takes away and a wrong direction changes), the
last two at three scales. The three count alike. Each is divided by how far it lies, in the mean, between the
paintings of the same frame in the different styles: 1 is the distance of one style from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream.synth.styles import STYLES
from sidestream.types import Pixels

CELLS = 8
"""Cells along each side of a picture."""
SCALES = (1, 2, 4)
"""How much a picture is shrunk before its contrast and strokes are looked at."""
DIRECTIONS = np.pi / 4 * np.arange(4)
LEAST = 1e-3
"""What the spread between styles is at least, so that pictures without anything in them can be compared."""

Plane = NDArray[np.floating[Any]]
Look = tuple[Plane, ...]
"""Colour, contrast, strokes: features x cells each."""


@dataclass(frozen=True, eq=False)
class Ruler:
    """Measures against the paintings of one frame in every style."""

    looks: Mapping[str, Look]
    spreads: tuple[Plane, ...]

    @classmethod
    def of(cls, paintings: Mapping[str, Pixels]) -> Ruler:
        looks = {name: look(pixels) for name, pixels in paintings.items()}
        pairs = list(combinations(looks.values(), 2))
        spreads = tuple(
            np.mean([_apart(one[part], other[part]) for one, other in pairs], axis=0).clip(LEAST)
            for part in range(3)
        )
        return cls(looks, spreads)

    def distances(self, pixels: Pixels) -> dict[str, float]:
        """To every style's painting."""
        seen = look(pixels)
        return {name: self._distance(seen, other) for name, other in self.looks.items()}

    def between(self, pixels: Pixels, other: Pixels) -> float:
        return self._distance(look(pixels), look(other))

    def _distance(self, one: Look, other: Look) -> float:
        parts = zip(one, other, self.spreads, strict=True)
        return float(np.mean([(_apart(a, b) / spread).mean() for a, b, spread in parts]))


def nearest(distances: Mapping[str, float]) -> str:
    return min(distances, key=lambda name: distances[name])


def paintings(pixels: Pixels, *, trained: bool = True) -> dict[str, Pixels]:
    """The frame in every style that is trained, the untouched one among them; or in every style held out."""
    chosen = (style for style in STYLES.values() if style.trained == trained)
    return {style.name: style.paint(pixels) for style in chosen}


def look(pixels: Pixels) -> Look:
    import cv2

    lab = np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    colour = _cells(lab)
    contrast: list[Plane] = []
    strokes: list[Plane] = []
    for scale in SCALES:
        size = (lab.shape[1] // scale, lab.shape[0] // scale)
        small = np.asarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), np.float32)
        contrast.append(np.sqrt((_cells(small**2) - _cells(small) ** 2).clip(0)))
        strokes.append(np.sqrt(_cells(_directed(small[..., 0]) ** 2)))
    return colour, np.concatenate(contrast), np.concatenate(strokes)


def _directed(lightness: Plane) -> Plane:
    """The slope in each direction."""
    import cv2

    across, down = (
        np.asarray(cv2.Scharr(lightness, cv2.CV_32F, *way, scale=1 / 32), np.float32)
        for way in ((1, 0), (0, 1))
    )
    return across[..., None] * np.cos(DIRECTIONS) + down[..., None] * np.sin(DIRECTIONS)


def _cells(planes: Plane) -> Plane:
    """Means, features x cells."""
    import cv2

    cells = cv2.resize(planes, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32).reshape(CELLS * CELLS, -1).T


def _apart(one: Plane, other: Plane) -> Plane:
    """Of each feature, in the mean over the cells."""
    return np.abs(one - other).mean(axis=-1)
