"""What there is in a world and how it moves: a backdrop, ground, things on it or anywhere, a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import tau

import numpy as np

from sidestream.config import Size
from sidestream.synth.layers import Canvas, Matrix, Plane, Point, place
from sidestream.synth.outlines import OUTDOORS, SIMPLE, THINGS, Outline, Stencil, beast, person
from sidestream.synth.palettes import Random, palette
from sidestream.synth.planes import Ground
from sidestream.synth.sprites import Path, Sprite
from sidestream.synth.textures import ANY, FAR, UNDERFOOT, Mixture, ripples, texture
from sidestream.types import Pixels

Camera = Callable[[float, float], Matrix]
"""At a time, for things at a nearness of so much."""

WALKERS = ((person, (-0.09, 0.09), 0.0), (beast, (-0.35, -0.28, 0.3, 0.37), 0.1))
"""An outline, where its legs begin across, and how far down."""


class Place:
    """Draws all there is from one generator; half of the places are outdoors, where things stand on the ground."""

    def __init__(
        self, random: Random, size: Size, photos: Sequence[Pixels], *, shadows: bool = True
    ) -> None:
        self.random, self.size, self.photos, self.shadows = random, size, photos, shadows
        self.side = min(size.width, size.height)
        self.outdoors = random.random() < 0.5
        self.colours = palette(random, vivid=0.2 if self.outdoors else 0.3)
        self.camera = _camera(random, size)

    def sprites(self) -> Iterator[Sprite]:
        random = self.random
        backdrop = self._backdrop()
        yield backdrop
        if random.random() < (0.85 if self.outdoors else 0.2):
            yield self._floor(backdrop.canvas)
        busy = random.choice((0, 1, 2, 3, 5, 9), p=(0.08, 0.2, 0.25, 0.22, 0.15, 0.1))
        depths = np.sort(random.uniform(0.7, 1.6, busy))
        for depth in depths:
            yield from self._walker(depth) if random.random() < 0.25 else self._thing(depth)

    def _surface(self, rows: int, columns: int, mixture: Mixture = ANY) -> Pixels:
        colours = self.colours
        if self.random.random() < 0.5:
            colours = palette(self.random, vivid=0.2 if self.outdoors else 0.3)
        return texture(self.random, Ground(rows, columns, colours, self.photos), mixture)

    def _backdrop(self) -> Sprite:
        rows, columns = (round(1.15 * side) for side in (self.size.height, self.size.width))
        random, kind = self.random, self.random.random()
        pixels = self._surface(rows, columns, FAR if self.outdoors else ANY)
        if kind < 0.25:
            pixels = self._fallen(pixels, int(np.exp(random.uniform(np.log(15), np.log(150)))))
        elif kind < 0.4:
            pixels = self._fallen(pixels, int(random.integers(2, 12)))
        middle = (columns / 2, rows / 2)
        rest = place(self.size.width / 2, self.size.height / 2, pivot=middle)
        camera = self.camera
        return Sprite(_opaque(pixels), lambda time: camera(time, 0.6) @ rest, endless=True)

    def _fallen(self, pixels: Pixels, count: int) -> Pixels:
        """Dead leaves: shapes of all sizes over one another, many small and few large."""
        random, (rows, columns) = self.random, pixels.shape[:2]
        reach = round(0.6 * max(rows, columns))
        covers = [self._surface(reach, reach) for _ in range(random.integers(1, 4))]
        kinds = OUTDOORS if self.outdoors and random.random() < 0.6 else SIMPLE
        cut: list[Outline] = [kinds[random.integers(len(kinds))] for _ in range(2)]
        for _ in range(count):
            side = int(min(reach, max(8, 0.06 * reach * random.random() ** -0.7)))
            stencil = Stencil(side)
            cut[random.integers(2)](random, stencil)
            top, left = random.integers(rows) - side // 2, random.integers(columns) - side // 2
            part = np.s_[max(0, top) : top + side, max(0, left) : left + side]
            window = pixels[part]
            mask = stencil.cover[max(0, -top) :, max(0, -left) :]
            mask = mask[: window.shape[0], : window.shape[1], None]
            cover = covers[random.integers(len(covers))]
            y, x = (
                random.integers(n - m + 1)
                for n, m in zip((reach, reach), window.shape[:2], strict=True)
            )
            colour = cover[y : y + window.shape[0], x : x + window.shape[1]] * (
                random.lognormal(0, 0.25) * random.uniform(0.85, 1.15, 3).astype(np.float32)
            )
            window[:] = (window + mask * (colour.clip(0, 255) - window)).astype(np.uint8)
        return pixels

    def _floor(self, backdrop: Canvas) -> Sprite:
        """Ground, water, hills: everything below a line."""
        random, width, height = self.random, self.size.width, self.size.height
        rows, columns = round(0.9 * height), round(1.5 * width)
        pixels = self._surface(rows, columns, UNDERFOOT)
        if random.random() < 0.2:
            pixels = self._mirrored(backdrop, rows, columns)
        t = np.arange(columns) / self.side
        waves = [
            random.normal(0, 0.03) * np.sin(random.uniform(1, 12) * t + random.uniform(0, tau))
            for _ in range(4)
        ]
        rise = random.choice((0, 0.3, 1.0)) * sum(waves) + 0.1
        y = np.arange(rows)[:, None]
        cover = (y - rise * self.side).clip(0, 1).astype(np.float32)
        horizon = random.uniform(0.25, 0.75) * height
        rest = place(width / 2, horizon, random.normal(0, 0.03), pivot=(columns / 2, 0))
        camera = self.camera
        return Sprite(_cut(pixels, cover), lambda time: camera(time, 0.7) @ rest)

    def _mirrored(self, backdrop: Canvas, rows: int, columns: int) -> Pixels:
        """Water that shows what is behind it."""
        import cv2

        random = self.random
        waves = ripples(random, Ground(rows, columns, self.colours, ()))
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        swing = random.uniform(1, 6) * np.sin(y * random.uniform(0.1, 0.6) + 0.02 * x)
        source = np.ascontiguousarray(backdrop[::-1, :, :3])
        sway = np.asarray(x + swing, np.float32)
        shown = cv2.remap(source, sway, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        share = random.uniform(0.15, 0.6)
        return ((1 - share) * random.uniform(0.6, 1) * shown + share * waves).astype(np.uint8)

    def _thing(self, depth: float) -> Iterator[Sprite]:
        random = self.random
        share = min(1.1, 0.16 * random.random() ** -0.6)
        side = max(12, round(depth * share * self.side))
        stencil = Stencil(side)
        kinds = OUTDOORS if self.outdoors else THINGS
        kinds[random.integers(len(kinds))](random, stencil)
        cover = stencil.cover
        if random.random() < 0.5:
            cover = cover[:, ::-1]
        if random.random() < 0.12:
            cover = _softened(cover, side * random.uniform(0.005, 0.03))
        path = self._path(side, depth, tumbling=random.random() < (0.05 if self.outdoors else 0.4))
        yield from self._shadow(side, path)
        yield self._sprite(cover, path)

    def _walker(self, depth: float) -> Iterator[Sprite]:
        """A person or a beast with swinging legs, those behind first."""
        random = self.random
        side = round(depth * random.uniform(0.3, 0.9) * self.side)
        outline, hips, hip = WALKERS[random.integers(len(WALKERS))]
        body = Stencil(side)
        outline(random, body, legs=False)
        path = self._path(side, depth, tumbling=False)
        yield from self._shadow(side, path)
        skin = self._surface(side, side)
        worn = skin if random.random() < 0.5 else self._surface(side, side)
        legs = [self._leg(side, path, (x, hip), worn) for x in hips]
        yield from legs[::2]
        yield self._sprite(body.cover, path, skin)
        yield from legs[1::2]

    def _shadow(self, side: int, path: Path) -> Iterator[Sprite]:
        """On the ground below; too faint to own what it falls on."""
        if not (self.shadows and self.outdoors):
            return
        shade = Stencil(side)
        shade.ellipse(0, 0, 0.8, 0.14)
        cover = 0.45 * _softened(shade.cover, side / 30)
        cover = cover[side // 4 : -side // 4]
        canvas = np.dstack((*[np.zeros_like(cover)] * 3, cover))
        yield Sprite(canvas, lambda time: path(time) @ place(0, 0.68 * side))

    def _leg(self, side: int, path: Path, at: Point, worn: Pixels) -> Sprite:
        random, (x, y) = self.random, at
        stencil = Stencil(side)
        stencil.limb((x, y), (x, 0.5), 0.09, 0.06)
        stencil.limb((x, 0.5), (x + 0.03, 0.9), 0.06, 0.045)
        hip = ((x + 1) * side / 2, (y + 1) * side / 2)
        reach, pace, phase = (
            random.uniform(0.1, 0.5),
            tau / random.uniform(16, 60),
            random.uniform(0, tau),
        )
        return self._sprite(
            stencil.cover,
            lambda time: path(time) @ place(*hip, reach * np.sin(pace * time + phase), pivot=hip),
            worn,
        )

    def _sprite(self, cover: Plane, path: Path, skin: Pixels | None = None) -> Sprite:
        """What lies within the outline, painted, with that skin if there is one."""
        rows, columns = (np.flatnonzero(cover.any(axis)) for axis in (1, 0))
        if not len(rows):
            rows = columns = np.zeros(1, np.intp)
        top, left = max(0, rows[0] - 1), max(0, columns[0] - 1)
        part = np.s_[top : rows[-1] + 2, left : columns[-1] + 2]
        pixels = self._skin(*cover[part].shape) if skin is None else skin[part]
        if self.random.random() < 0.6:
            random = self.random
            pixels = _lit(pixels, cover[part], random.uniform(0, tau), random.uniform(0.3, 1.2))
        return Sprite(_cut(pixels, cover[part]), lambda time: path(time) @ place(left, top))

    def _skin(self, rows: int, columns: int) -> Pixels:
        """A surface, or two: the upper and the lower half of a thing."""
        random, pixels = self.random, self._surface(rows, columns)
        if rows < 40 or random.random() < 0.65:
            return pixels
        other = self._surface(rows, columns)
        wave = 0.05 * np.sin(np.arange(columns) / rows * 9)
        below = np.arange(rows)[:, None] > rows * (random.uniform(0.3, 0.7) + wave)
        return np.where(below[..., None], other, pixels)

    def _path(self, side: int, depth: float, *, tumbling: bool) -> Path:
        """Swaying or passing through, seen by the camera."""
        random, camera, size = self.random, self.camera, self.size
        x, y = random.uniform(0.05, 0.95) * size.width, random.uniform(0.1, 0.95) * size.height
        if self.outdoors:
            y = (0.35 + 0.4 * depth + random.normal(0, 0.05)) * size.height - 0.4 * side
        lean = random.uniform(0, tau) if tumbling else random.normal(0, 0.05)
        speed = self.side * np.array((0.006, 0.003)) * random.standard_normal(2)
        speed *= random.choice((0.0, 1.0, 1.0, 2.0))
        pace = tau / random.uniform(40, 160, 4)
        phase = random.uniform(0, tau, 4)
        spin = random.normal(0, 0.25 if tumbling else 0.06)
        grow = random.uniform(0, 0.12)
        pivot = (side / 2, side / 2)

        def at(time: float) -> Matrix:
            sway = (np.sin(pace * time + phase) - np.sin(phase)) / pace
            return camera(time, depth) @ place(
                x + speed[0] * sway[0],
                y + speed[1] * sway[1],
                lean + spin * np.sin(pace[2] * time + phase[2]),
                1 + grow * np.sin(pace[3] * time + phase[3]),
                pivot,
            )

        return at


def _camera(random: Random, size: Size) -> Camera:
    """Still, panning, zooming, rolling or shaken in the hand; the nearer a thing, the more it moves."""
    side, middle = min(size.width, size.height), (size.width / 2, size.height / 2)
    still = random.random() < 0.2
    speed = (
        side * random.normal(0, (0.006, 0.003)) * random.choice((0.0, 1.0, 1.0, 2.0)) * (not still)
    )
    shake = side * random.choice((0.0, 0.0, 0.002, 0.006)) * (not still)
    pace, phase = tau / random.uniform(60, 200, 2), random.uniform(0, tau, 2)
    quick, start = tau / random.uniform(6, 25, (3, 2)), random.uniform(0, tau, (3, 2))
    zoom = random.choice((0.0, 0.0, 0.1, 0.3)) * random.choice((-1, 1)) * (not still)
    roll = random.choice((0.0, 0.02, 0.1)) * random.standard_normal() * (not still)

    def camera(time: float, depth: float) -> Matrix:
        drift = speed * (np.sin(pace * time + phase) - np.sin(phase)) / pace
        jitter = shake * (np.sin(quick * time + start) - np.sin(start)).sum(0) / 3
        x, y = depth * (drift + jitter)
        swell = np.sin(pace[0] * time)
        return place(
            middle[0] + x, middle[1] + y, roll * swell, (1 + zoom * swell) ** depth, middle
        )

    return camera


def _opaque(pixels: Pixels) -> Canvas:
    return _cut(pixels, np.ones(pixels.shape[:2], np.float32))


def _cut(pixels: Pixels, cover: Plane) -> Canvas:
    canvas = np.empty((*cover.shape, 4), np.float32)
    np.multiply(pixels, cover[..., None], out=canvas[..., :3])
    canvas[..., 3] = cover
    return canvas


def _softened(cover: Plane, radius: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.5, radius)), np.float32)


def _lit(pixels: Pixels, cover: Plane, angle: float, depth: float) -> Pixels:
    """As if the outline bulged towards the viewer, with light from that side."""
    bulge = _softened(cover, max(cover.shape) / 12) + _softened(cover, max(cover.shape) / 40)
    slope_y, slope_x = np.gradient(bulge)
    shade = (slope_x * np.cos(angle) + slope_y * np.sin(angle)) * max(cover.shape) / 10
    gain = (1 + depth * shade).clip(0.25, 1.8)
    return (pixels * gain[..., None]).clip(0, 255).astype(np.uint8)
