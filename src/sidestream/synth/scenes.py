"""Moving pictures made from numbers alone: scenes with known flow, the demo clip, a test pattern.

The same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import tau

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.flow import Flow
from sidestream.synth.acts import harbour, village
from sidestream.synth.layers import Layer, Matrix, Point, backward_flow, compose, mix, place
from sidestream.types import Frame, Pixels


def scene(seed: int, size: Size, frames: int) -> Iterator[tuple[Pixels, Flow | None]]:
    """A textured ground under a swaying camera, shapes moving over it, and each frame's backward flow."""
    random = np.random.default_rng(seed)
    layers = [_ground(random, size), *(_shape(random, size) for _ in range(random.integers(2, 4)))]
    for time in range(frames):
        flow = backward_flow(layers, time - 1, time, size) if time else None
        yield compose(layers, time, size), flow


def demo_clip(size: Size = Size(512, 288), seconds: float = 4.0, rate: int = 24) -> Iterator[Frame]:
    """Balloons over a village; then, after one cut, a boat at sunset."""
    count = round(seconds * rate)
    acts = (village(size), harbour(size))
    for index in range(count):
        act, within = divmod(2 * index, count)
        pixels = compose(acts[act], within / count, size)
        yield Frame(pixels, pts=index, time_base=Fraction(1, rate), index=index)


def test_pattern(size: Size, index: int) -> Pixels:
    """Colour bars over a grey ramp, crossed by a white line that moves by four pixels a frame."""
    bars = np.array([[r, g, b] for g in (191, 0) for r in (191, 0) for b in (191, 0)], np.uint8)
    column = np.arange(size.width)
    pixels = np.empty((size.height, size.width, 3), np.uint8)
    pixels[:] = bars[column * len(bars) // size.width]
    pixels[size.height * 3 // 4 :] = (column * 255 // size.width)[:, None]
    pixels[:, (4 * index + np.arange(4)) % size.width] = 255
    return pixels


def _ground(random: np.random.Generator, size: Size) -> Layer:
    unit = min(size.width, size.height)
    width, height = 1.8 * size.width / unit, 1.8 * size.height / unit
    at = _swaying(random, size, (width / 2, height / 2), reach=0.12, turn=0.05, zoom=0.06)
    ground = Layer(width, height, unit, at)
    ground.paint(1, mix(*_colours(random), ground.texture(random, 0.2, 0.2)))
    return ground


def _shape(random: np.random.Generator, size: Size) -> Layer:
    radius = random.uniform(0.12, 0.22)
    middle = 1.1 * radius
    at = _swaying(random, size, (middle, middle), reach=0.3, turn=0.5, zoom=0.15)
    shape = Layer(2 * middle, 2 * middle, min(size.width, size.height), at)
    x, y = shape.x - middle, shape.y - middle
    lobes, depth = random.integers(2, 7), random.uniform(0, 0.25)
    outline = radius * (1 + depth * np.cos(lobes * np.arctan2(y, x))) / (1 + depth)
    stripes = 0.5 + 0.5 * np.sin(x * random.uniform(5, 12) / radius)
    texture = 0.6 * shape.texture(random, radius / 2, radius / 2) + 0.4 * stripes
    shape.fill(np.hypot(x, y) - outline, mix(*_colours(random), texture))
    return shape


def _colours(random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A darker and a lighter one, each of any hue."""
    return random.uniform(20, 140, 3), random.uniform(120, 245, 3)


def _swaying(
    random: np.random.Generator, size: Size, pivot: Point, *, reach: float, turn: float, zoom: float
) -> Callable[[float], Matrix]:
    """Around the middle of the view for as long as one likes, each way of moving at a pace of its own."""
    pace, phase = tau / random.uniform(60, 140, 4), random.uniform(0, tau, 4)
    width, height = (side / min(size.width, size.height) for side in (size.width, size.height))

    def at(time: float) -> Matrix:
        x, y, angle, scale = np.sin(pace * time + phase) * (reach, reach, turn, zoom)
        return place(width * (0.5 + x), height * (0.5 + y), angle, 1 + scale, pivot)

    return at
