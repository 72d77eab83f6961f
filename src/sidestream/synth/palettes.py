"""Colours that go together, and planes of values shown in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sidestream.synth.layers import Plane
from sidestream.types import Pixels

Random = np.random.Generator
Colours = NDArray[np.float32]
"""N x 3, 0 to 255, dark to light."""

NATURAL_HUES = (0.03, 0.07, 0.1, 0.13, 0.22, 0.28, 0.35, 0.52, 0.57, 0.61)
"""Skin, earth, wood, straw, grass, leaves, water, sky."""


def palette(random: Random, *, vivid: float = 0.3) -> Colours:
    """Five colours of one or two hues, as a place has them."""
    first = random.choice(NATURAL_HUES) if random.random() < 0.75 else random.random()
    second = first + random.choice((0.03, 0.1, 0.33, 0.5))
    hues = np.where(random.random(5) < 0.65, first, second) + random.normal(0, 0.03, 5)
    saturation = random.beta(1.5, 1.5 / vivid - 1.5, 5)
    dark, light = random.uniform(0.03, 0.35), random.uniform(0.55, 1.0)
    value = (np.linspace(dark, light, 5) + random.normal(0, 0.05, 5)).clip(0, 1)
    return rgb(hues, saturation, value)


def rgb(
    hue: NDArray[np.float64], saturation: NDArray[np.float64], value: NDArray[np.float64]
) -> Colours:
    k = (np.array((5, 3, 1)) + 6 * hue[:, None]) % 6
    dip = np.minimum(k, 4 - k).clip(0, 1)
    return np.asarray(255 * value[:, None] * (1 - saturation[:, None] * dip), np.float32)


def ramp(plane: Plane, colours: Colours) -> Pixels:
    """Each value from 0 to 1 as a colour between those given."""
    import cv2

    stops = np.linspace(0, 255, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, c) for c in colours.T], -1)
    grey = (plane * 255).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([grey] * 3), table.astype(np.uint8)[None]), np.uint8)


def colour_matrix(saturation: float, hue: float = 0) -> NDArray[np.float64]:
    """Turns colours about grey and draws them towards it."""
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return axis + saturation * (np.cos(hue) * (np.eye(3) - axis) + np.sin(hue) * cross)
