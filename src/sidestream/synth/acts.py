"""The two acts of the demo clip, drawn: balloons over a village, a boat at sunset. Time runs from 0 to 1.

Coordinates are in picture heights.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sin, tau

import numpy as np
from numpy.typing import ArrayLike

from sidestream.config import Size
from sidestream.synth.layers import Layer, Matrix, Plane, mix, place


def _pan(depth: float) -> Callable[[float], Matrix]:
    """A camera that moves to the right: the nearer, the more."""
    return lambda time: place(-depth * time, 0)


def village(size: Size) -> list[Layer]:
    unit, width = size.height, size.width / size.height + 0.5
    random = np.random.default_rng(1)

    sky = Layer(width, 1, unit, _pan(0.03))
    sky.paint(1, mix((112, 172, 224), (250, 232, 204), 1.4 * sky.y))
    sun = np.hypot(sky.x - 1.35, sky.y - 0.24)
    sky.paint(0.6 * np.exp(-((sun / 0.3) ** 2)), (255, 242, 196))
    sky.fill(sun - 0.08, (255, 248, 220))

    hills = Layer(width, 1, unit, _pan(0.12))
    _hill(hills, random, 0.58, 0.05, (138, 164, 196), (170, 190, 210))
    _hill(hills, random, 0.67, 0.04, (106, 148, 138), (148, 186, 152))

    village = Layer(width, 1, unit, _pan(0.28))
    _hill(village, random, 0.80, 0.02, (96, 150, 84), (164, 198, 106))
    for x, roof in ((0.38, (196, 92, 72)), (0.68, (172, 84, 92)), (1.5, (204, 110, 70))):
        _house(village, x, 0.84, 0.15, roof)
    for x in (0.16, 0.93, 1.06, 1.27, 1.76, 1.92, 2.1):
        _tree(village, x, 0.85, 0.06 + 0.02 * sin(9 * x))

    field = Layer(width, 1, unit, _pan(0.45))
    _hill(field, random, 0.92, 0.015, (64, 114, 62), (124, 166, 76))
    for x, y in random.random((90, 2)):
        colour = ((244, 224, 120), (238, 132, 128), (246, 242, 234))[int(300 * y) % 3]
        field.disc(x * width, 0.95 + 0.05 * y, 0.006, colour)

    red = _balloon(
        unit, 0.17, (214, 84, 74), lambda t: (0.42 + 0.4 * t, 0.36 - 0.16 * t, 0.1 * sin(9 * t))
    )
    blue = _balloon(
        unit, 0.08, (66, 116, 168), lambda t: (1.3 - 0.2 * t, 0.32 + 0.05 * sin(5 * t), 0)
    )
    near_cloud = _cloud(unit, lambda t: place(0.02 + 0.25 * t, 0.04))
    far_cloud = _cloud(unit, lambda t: place(0.95 + 0.3 * t, 0.1, scale=0.7))
    return [sky, far_cloud, near_cloud, hills, blue, village, red, field]


def _hill(
    layer: Layer,
    random: np.random.Generator,
    top: float,
    rise: float,
    dark: ArrayLike,
    light: ArrayLike,
) -> None:
    waves = np.sin(layer.x * random.uniform(3, 5) + random.uniform(0, tau))
    ripples = np.sin(layer.x * random.uniform(9, 12) + random.uniform(0, tau))
    below = layer.y - top - rise * (waves + 0.4 * ripples)
    shade = 0.2 + layer.texture(random, 0.18, 0.06) - 2 * (below - 0.1)
    layer.fill(-below, mix(dark, light, shade))


def _house(layer: Layer, x: float, ground: float, side: float, roof: ArrayLike) -> None:
    def box(left: float, top: float, right: float, bottom: float, colour: ArrayLike) -> None:
        layer.box(
            x + left * side, ground - top * side, x + right * side, ground - bottom * side, colour
        )

    box(-0.5, 0.6, 0.5, 0, (246, 232, 206))
    box(-0.1, 0.34, 0.1, 0, (134, 94, 74))
    for window in (-0.41, 0.23):
        box(window, 0.48, window + 0.18, 0.28, (112, 150, 176))
    box(0.2, 1.1, 0.32, 0.7, (166, 110, 96))
    eaves = ground - 0.6 * side
    layer.polygon(((x, eaves - side / 2), (x + 0.62 * side, eaves), (x - 0.62 * side, eaves)), roof)


def _tree(layer: Layer, x: float, ground: float, radius: float) -> None:
    layer.box(x - 0.12 * radius, ground - 1.4 * radius, x + 0.12 * radius, ground, (116, 86, 66))
    for right, up, size, colour in (
        (0, 1.9, 1.0, (58, 112, 72)),
        (-0.5, 1.5, 0.75, (68, 126, 76)),
        (0.5, 1.6, 0.7, (74, 134, 80)),
        (-0.25, 2.3, 0.6, (96, 156, 90)),
    ):
        layer.disc(x + right * radius, ground - up * radius, size * radius, colour)


def _cloud(unit: float, at: Callable[[float], Matrix]) -> Layer:
    cloud = Layer(0.62, 0.24, unit, at)
    puffs = ((0.14, 0.16, 0.07), (0.25, 0.11, 0.09), (0.38, 0.13, 0.08), (0.49, 0.17, 0.05))
    for lower, colour in ((0.0, (226, 232, 240)), (0.018, (255, 253, 248))):
        for x, y, radius in puffs:
            cloud.disc(x, y - lower, radius - lower / 2, colour)
    return cloud


def _balloon(
    unit: float, radius: float, colour: ArrayLike, at: Callable[[float], tuple[float, float, float]]
) -> Layer:
    """Striped, with a basket; `at` gives x, y and tilt of the middle of its envelope."""
    middle = (1.1 * radius, 1.1 * radius)
    balloon = Layer(2.2 * radius, 3.2 * radius, unit, lambda t: place(*at(t), pivot=middle))
    x, y = (balloon.x - middle[0]) / radius, (balloon.y - middle[1]) / radius

    # A circle down to where its sides lean in by 3 to 4, then straight to the neck.
    half = np.where(y < 0.6, np.sqrt((1 - y**2).clip(1e-4)), 0.8 - 0.75 * (y - 0.6))
    envelope = np.where(y < 0.6, np.hypot(x, y) - 1, 0.8 * (np.abs(x) - half))
    # Meridians, seen from the side; none where they would crowd at the rim.
    meridian = np.arcsin((x / half.clip(0.05)).clip(-0.93, 0.93))
    stripes = mix(colour, (250, 228, 184), 0.5 + 4 * np.sin(9 * meridian))

    for rope in (-0.19, 0.19):
        balloon.fill(_slab(x - rope, y - 1.5, 0.015, 0.25) * radius, (110, 84, 70))
    balloon.fill(np.maximum(envelope, y - 1.4) * radius, mix(stripes, (60, 40, 70), 0.22 + 0.3 * x))
    balloon.fill(_slab(x, y - 1.85, 0.2, 0.15) * radius, (150, 104, 70))
    return balloon


def _slab(x: Plane, y: Plane, width: float, height: float) -> Plane:
    """Distance to a box around the origin, by half its sides."""
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def harbour(size: Size) -> list[Layer]:
    unit, width = size.height, size.width / size.height + 0.4
    random = np.random.default_rng(2)

    sky = Layer(width, 1, unit, _pan(0.04))
    sky.paint(1, mix((84, 92, 150), (238, 144, 124), sky.y / 0.4))
    sky.paint(((sky.y - 0.3) / 0.25).clip(0, 1), (255, 204, 138))
    for x, y, length in random.random((14, 3)) * (width, 0.4, 0.3):
        streak = np.hypot((sky.x - x) / (0.1 + length), (sky.y - y) / 0.012) - 1
        sky.paint(0.45 * (-2 * streak).clip(0, 1), (250, 178, 150))
    sun = np.hypot(sky.x - 1.2, sky.y - 0.46)
    sky.paint(0.7 * np.exp(-((sun / 0.22) ** 2)), (255, 226, 160))
    sky.fill(sun - 0.11, (255, 240, 196))

    sea = Layer(width, 1, unit, _pan(0.1))
    depth = (sea.y - 0.55).clip(0)
    sea.fill(0.55 - sea.y, mix((236, 160, 128), (70, 98, 146), depth / 0.4))
    glitter = np.exp(-(((sea.x - 1.23) / (0.06 + 0.3 * depth)) ** 2)) * (depth > 0)
    ripples = 5 * sea.texture(random, 0.12, 0.012) - 2.2
    sea.paint((glitter * ripples).clip(0, 1), (255, 232, 176))

    cape = Layer(0.9, 1, unit, _pan(0.2))
    cliff = 0.6 - 0.1 * np.cos(3 * cape.x) + 0.012 * np.sin(31 * cape.x) - cape.y
    shade = cape.texture(random, 0.1, 0.08) + 0.4 + 2 * cliff
    cape.fill(np.maximum(cliff, cape.y - 0.68), mix((66, 54, 88), (132, 98, 114), shade))
    _lighthouse(cape, 0.3, 0.56)

    far, middle, near = (
        _waves(random, unit, width, *wave)
        for wave in (
            (0.70, 0.10, (92, 112, 158), (206, 158, 152)),
            (0.78, -0.16, (58, 82, 134), (138, 132, 164)),
            (0.88, 0.24, (30, 50, 98), (84, 104, 152)),
        )
    )
    return [sky, sea, cape, far, _boat(unit), middle, near]


def _lighthouse(layer: Layer, x: float, ground: float) -> None:
    for band in range(5):
        top, bottom = ground - 0.07 * (band + 1), ground - 0.07 * band
        wide, narrow = 0.05 - 0.004 * band, 0.05 - 0.004 * (band + 1)
        corners = ((x - narrow, top), (x + narrow, top), (x + wide, bottom), (x - wide, bottom))
        layer.polygon(corners, ((196, 82, 80), (248, 226, 208))[band % 2])
    top = ground - 0.35
    glow = np.hypot(layer.x - x, layer.y - top + 0.025)
    layer.box(x - 0.022, top - 0.05, x + 0.022, top, (255, 236, 150))
    layer.box(x - 0.045, top - 0.008, x + 0.045, top, (92, 66, 84))
    layer.polygon(
        ((x, top - 0.085), (x + 0.035, top - 0.05), (x - 0.035, top - 0.05)), (150, 66, 74)
    )
    layer.paint(0.5 * np.exp(-((glow / 0.05) ** 2)), (255, 240, 180))


def _boat(unit: float) -> Layer:
    def at(time: float) -> Matrix:
        bob = 0.008 * sin(22 * time)
        return place(0.5 + 0.62 * time, 0.78 + bob, 0.05 * sin(16 * time), pivot=(0.24, 0.46))

    boat = Layer(0.48, 0.5, unit, at)
    boat.box(0.236, 0.03, 0.244, 0.42, (104, 74, 66))
    boat.polygon(((0.23, 0.05), (0.23, 0.36), (0.07, 0.36)), (250, 234, 208))
    boat.polygon(((0.25, 0.08), (0.38, 0.36), (0.25, 0.36)), (232, 130, 96))
    boat.polygon(((0.25, 0.25), (0.329, 0.25), (0.352, 0.3), (0.25, 0.3)), (250, 234, 208))
    boat.polygon(((0.05, 0.39), (0.43, 0.39), (0.37, 0.47), (0.11, 0.47)), (136, 58, 62))
    boat.polygon(((0.05, 0.39), (0.43, 0.39), (0.42, 0.405), (0.061, 0.405)), (246, 226, 200))
    boat.polygon(((0.24, 0.03), (0.24, 0.06), (0.18, 0.045)), (208, 82, 76))
    return boat


def _waves(
    random: np.random.Generator,
    unit: float,
    width: float,
    top: float,
    drift: float,
    dark: ArrayLike,
    light: ArrayLike,
) -> Layer:
    start = -0.3 if drift > 0 else 0.0

    def at(time: float) -> Matrix:
        return place(start + drift * time, top + 0.008 * sin(14 * time + 40 * top))

    waves = Layer(width + 0.3, 1.1 - top, unit, at)
    crest = 0.05 - 0.035 * np.abs(np.sin(9 * waves.x + 40 * top))
    shade = waves.texture(random, 0.25, 0.03) + 0.4 - 5 * (waves.y - crest)
    waves.fill(crest - waves.y, mix(dark, light, shade))
    return waves
