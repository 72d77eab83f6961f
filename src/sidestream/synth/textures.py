"""What surfaces look like: noise, patterns, scattered strokes, ripples, crops of photographs.

Every texture is drawn from a random generator and a palette, and fills as many rows and columns as asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import tau

import numpy as np
from numpy.typing import NDArray

from sidestream.synth.crops import photograph, photographs_mixed
from sidestream.synth.palettes import Random, ramp
from sidestream.synth.planes import Ground, fractal, grid, smooth
from sidestream.types import Pixels


def plain(random: Random, ground: Ground) -> Pixels:
    tone = random.random() + 0.15 * (smooth(random, ground.rows, ground.columns, 2) - 0.5)
    return ramp(np.asarray(tone, np.float32), ground.colours)


def gradient(random: Random, ground: Ground) -> Pixels:
    u, v = grid(random, ground, ground.side)
    plane = np.hypot(u, v) if random.random() < 0.4 else u + 0.5
    return ramp(plane * random.uniform(0.4, 1.2), ground.colours[:: random.choice((-1, 1))])


def noise(random: Random, ground: Ground) -> Pixels:
    shape = ground.rows, ground.columns
    stretch = 1.0 if random.random() < 0.6 else random.uniform(1, 3)
    plane = fractal(random, *shape, random.uniform(0.7, 2.0), stretch)
    contrast = random.uniform(0.3, 1.6)
    pixels = ramp(0.5 + contrast * (plane - 0.5), ground.colours)
    if random.random() < 0.5:
        return pixels
    return _tinted(random, pixels)


def marble(random: Random, ground: Ground) -> Pixels:
    """Noise folded by noise: bark, smoke, stone."""
    shape = ground.rows, ground.columns
    plane = fractal(random, *shape, random.uniform(1.4, 2.2), random.uniform(1, 2.5))
    folded = 0.5 + 0.5 * np.sin(plane * random.uniform(8, 40))
    grain = fractal(random, *shape, 0.9)
    plane = np.asarray(0.75 * folded + 0.4 * (grain - 0.3), np.float32)
    return ramp(plane, ground.colours)


def pattern(random: Random, ground: Ground) -> Pixels:
    u, v = grid(random, ground, ground.side * random.uniform(0.02, 0.2))
    kind = random.integers(5)
    if kind == 0:
        plane = 0.5 + random.uniform(1, 6) * np.sin(tau * u)
    elif kind == 1:
        plane = 0.5 + 3 * np.sin(tau * u / 2) * np.sin(tau * v / 2)
    elif kind == 2:
        row = np.floor(2 * v)
        column = u + 0.5 * (row % 2)
        joint = np.minimum(column % 1, (2 * v) % 1) < random.uniform(0.04, 0.12)
        each = np.sin(12.9898 * np.floor(column) + 78.233 * row) * 43758.5453 % 1
        plane = np.where(joint, random.choice((0.0, 1.0)), 0.3 + 0.5 * each)
    elif kind == 3:
        plane = 4 * (random.uniform(0.2, 0.4) - np.hypot(u % 1 - 0.5, v % 1 - 0.5)) + 0.5
    else:
        plane = 0.5 + 0.3 * np.sign(np.sin(tau * u)) + 0.2 * np.sign(np.sin(tau * v))
    worn = fractal(random, ground.rows, ground.columns, 1.2) - 0.5
    plane = plane.clip(0, 1) * random.uniform(0.4, 1) + random.uniform(0, 0.6) * worn
    return ramp(plane.astype(np.float32), ground.colours)


def cells(random: Random, ground: Ground) -> Pixels:
    """The nearest of scattered points: pebbles, scales, cracked earth, panes."""
    import cv2

    count = int(np.exp(random.uniform(np.log(12), np.log(600))))
    seeds = np.full((ground.rows, ground.columns), 255, np.uint8)
    seeds[random.integers(ground.rows, size=count), random.integers(ground.columns, size=count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    tones = random.random(count + 2, np.float32)
    reach = np.sqrt(ground.rows * ground.columns / count)
    plane = tones[np.asarray(labels, np.intp)] - random.uniform(0, 1) * distance / reach
    if random.random() < 0.5:
        plane += 0.5 * (fractal(random, ground.rows, ground.columns, 1.0) - 0.5)
    return ramp(np.asarray(plane, np.float32), ground.colours)


def strokes(random: Random, ground: Ground) -> Pixels:
    """Blades of grass, fur, straw, leaves: bent lines or ellipses of about one direction, layer over layer."""
    import cv2

    pixels, layer = noise(random, ground), _scattered(random, ground)
    for _ in range(random.integers(1, 7)):
        shift = int(random.integers(ground.rows)), int(random.integers(ground.columns))
        moved = np.roll(layer, shift, (0, 1))
        if random.random() < 0.5:
            moved = np.ascontiguousarray(moved[:, ::-1])
        bare = cv2.merge([255 - moved[..., 3]] * 3)
        behind = cv2.multiply(pixels, bare, scale=random.uniform(0.75, 1.0) / 255)
        pixels = np.asarray(cv2.add(behind, moved[..., :3]), np.uint8)
    return _dappled(random, pixels) if random.random() < 0.6 else pixels


def _scattered(random: Random, ground: Ground) -> NDArray[np.uint8]:
    """Strokes on nothing, as colour multiplied by cover, and cover."""
    import cv2

    layer = np.zeros((ground.rows, ground.columns, 4), np.uint8)
    count = int(random.integers(60, 250))
    length = ground.side * np.exp(random.uniform(np.log(0.02), np.log(0.12)))
    angles = random.uniform(0, tau) + random.normal(0, random.uniform(0.1, 1.5), count)
    x, y = random.random((2, count)) * np.array([[ground.columns], [ground.rows]])
    reach = length * random.uniform(0.4, 1.3, count)
    shapes: Sequence[NDArray[np.float64]]
    if random.random() < 0.45:
        width = random.uniform(0.25, 0.6)
        shapes = [
            np.array(
                cv2.ellipse2Poly(
                    (0, 0), (int(8 * r), int(8 * r * width)), int(np.degrees(a)), 0, 360, 40
                ),
                np.float64,
            )
            for r, a in zip(reach, angles, strict=True)
        ]
    else:
        thick, steps = 16 * random.uniform(0.5, 1.2), np.array((0, 0.5, 1, 0.5))[:, None]
        turned = angles + random.normal(0, 0.25, count) * steps
        blade = 16 * reach * steps * np.stack((np.cos(turned), np.sin(turned)))
        blade += (
            thick
            * np.array((-1, -0.7, 0, 0.7))[:, None]
            * np.stack((-np.sin(angles), np.cos(angles)))[:, None]
        )
        shapes = list(blade.transpose(2, 1, 0))
    tones = ground.colours[random.integers(5, size=count)] * random.uniform(0.8, 1.2, (count, 1))
    colours = np.column_stack((tones.clip(0, 255), np.full(count, 255))).tolist()
    for i, shape in enumerate(shapes):
        points = (shape + np.array((16 * x[i], 16 * y[i]))).astype(np.int32)
        cv2.fillPoly(layer, [points], colours[i], cv2.LINE_AA, 4)
    return layer


def ripples(random: Random, ground: Ground) -> Pixels:
    """Waves seen at a slant, their crests bright."""
    y = (np.arange(ground.rows, dtype=np.float32) / ground.rows)[:, None]
    x = (np.arange(ground.columns, dtype=np.float32) / ground.columns - 0.5)[None]
    depth = 1 / (0.15 + y)
    plane = np.zeros((ground.rows, ground.columns), np.float32)
    for _ in range(random.integers(3, 7)):
        fx, fy, phase = random.normal(0, 6), random.normal(0, 14), random.uniform(0, tau)
        plane += np.sin(fx * x * depth + fy * depth + phase) * random.uniform(0.2, 1)
    plane = 0.45 + random.uniform(0.05, 0.3) * plane
    plane += 0.6 * (fractal(random, ground.rows, ground.columns, 1.2, 2) - 0.5)
    return ramp(plane ** random.uniform(1, 2) if plane.min() > 0 else plane, ground.colours)


def marks(random: Random, ground: Ground) -> Pixels:
    """Lines of writing on something plain."""
    import cv2

    pixels = plain(random, ground) if random.random() < 0.7 else gradient(random, ground)
    scale = ground.side / 256 * random.uniform(0.3, 1.4)
    colour = ground.colours[random.choice((0, 4))].tolist()
    font, thick = int(random.integers(0, 8)), int(random.integers(1, 3))
    for row in range(round(random.uniform(10, 40) * scale), ground.rows, max(8, round(32 * scale))):
        text = "".join(chr(c) for c in random.integers(65, 123, 40))
        left = int(random.integers(-20, 40))
        cv2.putText(pixels, text, (left, row), font, scale, colour, thick, cv2.LINE_AA)
    return pixels


def spheres(random: Random, ground: Ground) -> Pixels:
    """Round things, lit from one side."""
    pixels = plain(random, ground)
    light = random.uniform(-0.6, 0.6, 2)
    for _ in range(random.integers(6, 40)):
        radius = ground.side * 0.04 * random.random() ** -0.6
        radius = int(min(radius, ground.side / 3))
        x, y = int(random.integers(ground.columns)), int(random.integers(ground.rows))
        window = pixels[max(0, y - radius) : y + radius, max(0, x - radius) : x + radius]
        v, u = np.ogrid[: window.shape[0], : window.shape[1]]
        v, u = (v - min(y, radius)) / radius, (u - min(x, radius)) / radius
        squared = u * u + v * v
        height = np.sqrt((1 - squared).clip(0))
        shade = 0.25 + 0.75 * (light[0] * u + light[1] * v + 0.8 * height).clip(0)
        colour = ground.colours[random.integers(1, 5)]
        lit = (colour * shade[..., None] + 90 * (shade[..., None] ** 12)).clip(0, 255)
        np.copyto(window, lit.astype(np.uint8), where=(squared < 1)[..., None])
    return pixels


def _dappled(random: Random, pixels: Pixels) -> Pixels:
    """In light and shade."""
    rows, columns = pixels.shape[:2]
    light = fractal(random, rows, columns, random.uniform(1.2, 1.8))
    return (pixels * (0.2 + 1.5 * light[..., None])).clip(0, 255).astype(np.uint8)


def _tinted(random: Random, pixels: Pixels) -> Pixels:
    """Small slow changes of hue, as nothing in nature is of one."""
    rows, columns = pixels.shape[:2]
    tints = [smooth(random, rows, columns, int(random.integers(2, 12))) - 0.5 for _ in range(3)]
    gains = 1 + random.uniform(0.05, 0.4) * np.stack(tints, -1)
    return (pixels * gains).clip(0, 255).astype(np.uint8)


Texture = Callable[[Random, Ground], Pixels]

Mixture = Mapping[Texture, float]
"""How often each is drawn."""

ANY: Mixture = {
    noise: 4,
    marble: 1.5,
    strokes: 2.5,
    gradient: 1.2,
    plain: 1,
    pattern: 1.5,
    cells: 1.5,
    ripples: 1.5,
    marks: 0.5,
    spheres: 0.8,
}
FAR: Mixture = {strokes: 3, noise: 3, gradient: 1.5, pattern: 0.7, marble: 0.5}
"""Foliage, hillsides, skies, walls."""
UNDERFOOT: Mixture = {noise: 3, strokes: 2.5, ripples: 2, cells: 1.5, pattern: 0.5, plain: 0.5}
"""Sand, grass, water, stones, paving."""
PHOTOGRAPHED: Mixture = {photograph: 0.42, photographs_mixed: 0.08}
"""As shares of all textures."""


def texture(random: Random, ground: Ground, mixture: Mixture = ANY) -> Pixels:
    """One of the mixture or, where there are photographs, as often one made from them."""
    if ground.photos and random.random() < sum(PHOTOGRAPHED.values()):
        mixture = PHOTOGRAPHED
    weights = np.cumsum(list(mixture.values()))
    return list(mixture)[np.searchsorted(weights, random.uniform(0, weights[-1]))](random, ground)
