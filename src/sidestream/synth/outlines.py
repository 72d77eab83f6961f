"""The shapes of things, as covers from 0 to 1 in a square: blobs, beasts, people, trees, fences, letters."""

from __future__ import annotations

from collections.abc import Callable
from math import tau

import numpy as np
from numpy.typing import NDArray

from sidestream.synth.layers import Plane
from sidestream.synth.palettes import Random

Points = NDArray[np.float64]
"""N x 2 in a square from -1 to 1, x to the right and y down."""


class Stencil:
    """A square of covers to cut shapes into."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.mask = np.zeros((side, side), np.uint8)

    @property
    def cover(self) -> Plane:
        return self.mask.astype(np.float32) / np.float32(255)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        return (16 * ((points + 1) * self.side / 2 - 0.5)).astype(np.int32)

    def polygon(self, points: Points) -> None:
        import cv2

        cv2.fillPoly(self.mask, [self._fixed(points)], 255, cv2.LINE_AA, 4)

    def ellipse(self, x: float, y: float, a: float, b: float, turn: float = 0) -> None:
        t = np.linspace(0, tau, 32, endpoint=False)
        u, v = a * np.cos(t), b * np.sin(t)
        cos, sin = np.cos(turn), np.sin(turn)
        self.polygon(np.stack((x + cos * u - sin * v, y + sin * u + cos * v), -1))

    def limb(
        self, start: tuple[float, float], end: tuple[float, float], a: float, b: float
    ) -> None:
        """A tapering line with round ends."""
        p, q = np.array(start), np.array(end)
        along = (q - p) / (np.hypot(*(q - p)) + 1e-9)
        across = np.array((-along[1], along[0]))
        self.polygon(np.stack((p + a * across, q + b * across, q - b * across, p - a * across)))
        self.ellipse(*start, a, a)
        self.ellipse(*end, b, b)


def ellipse(random: Random, s: Stencil) -> None:
    s.ellipse(0, 0, random.uniform(0.5, 0.95), random.uniform(0.3, 0.95), random.uniform(0, tau))


def blob(random: Random, s: Stencil) -> None:
    t = np.linspace(0, tau, 96, endpoint=False)
    radius = np.ones(96)
    for lobes in range(2, 9):
        radius += random.normal(0, 0.35 / lobes) * np.cos(lobes * t + random.uniform(0, tau))
    radius = radius.clip(0.15) / radius.max() * 0.95
    s.polygon(np.stack((radius * np.cos(t), radius * np.sin(t)), -1))


def star(random: Random, s: Stencil) -> None:
    """A flower, a star, a leaf with teeth."""
    t = np.linspace(0, tau, 128, endpoint=False)
    lobes, depth = random.integers(3, 14), random.uniform(0.1, 0.6)
    radius = 0.95 * (1 - depth * np.abs(np.sin(lobes * t / 2)) ** random.uniform(0.5, 2))
    s.polygon(np.stack((radius * np.cos(t), radius * np.sin(t)), -1))


def polygon(random: Random, s: Stencil) -> None:
    angles = np.sort(random.uniform(0, tau, random.integers(3, 8)))
    s.polygon(random.uniform(0.6, 0.95) * np.stack((np.cos(angles), np.sin(angles)), -1))


def box(random: Random, s: Stencil) -> None:
    a, b = random.uniform(0.25, 0.9, 2)
    s.polygon(np.array(((-a, -b), (a, -b), (a, b), (-a, b))) + random.normal(0, 0.04, (4, 2)))


def ring(random: Random, s: Stencil) -> None:
    a = random.uniform(0.5, 0.9)
    s.ellipse(0, 0, a, a)
    hole = Stencil(s.side)
    hole.ellipse(0, 0, a * random.uniform(0.4, 0.85), a * random.uniform(0.4, 0.85))
    s.mask -= np.minimum(s.mask, hole.mask)


def cloud(random: Random, s: Stencil) -> None:
    import cv2

    for _ in range(random.integers(4, 12)):
        x, y = random.uniform(-0.55, 0.55), random.uniform(-0.25, 0.25)
        s.ellipse(x, y, *random.uniform(0.12, 0.35, 2))
    if random.random() < 0.6:
        s.mask[:] = cv2.GaussianBlur(s.mask, (0, 0), s.side * random.uniform(0.01, 0.06))


def beast(random: Random, s: Stencil, *, legs: bool = True) -> None:
    """Body, neck, head, ears, tail, and mostly four legs."""
    long, deep = random.uniform(0.4, 0.55), random.uniform(0.16, 0.28)
    rise, ground = random.uniform(-0.5, 0.1), random.uniform(0.5, 0.9)
    s.ellipse(0, 0, long, deep)
    head = (0.6 + random.uniform(-0.1, 0.15), rise)
    s.limb((0.75 * long, 0), head, deep * 0.7, 0.1)
    s.ellipse(head[0] + 0.06, head[1], 0.17, 0.1, random.uniform(0, 0.6))
    s.limb(head, (head[0] - 0.08, head[1] - random.uniform(0.12, 0.3)), 0.05, 0.02)
    s.limb((-long, -0.05), (-0.9, random.uniform(-0.5, 0.4)), 0.05, 0.02)
    if not legs:
        return
    for x in (-0.8 * long, -0.6 * long, 0.55 * long, 0.78 * long):
        knee = (x + random.normal(0, 0.06), 0.5 * ground)
        s.limb((x, 0.3 * deep), knee, 0.09, 0.05)
        s.limb(knee, (x + random.normal(0, 0.08), ground), 0.05, 0.035)


def person(random: Random, s: Stencil, *, legs: bool = True) -> None:
    shoulder, hip = random.uniform(0.16, 0.24), random.uniform(0.12, 0.2)
    s.ellipse(0, -0.75, 0.11, 0.14)
    s.limb((0, -0.65), (0, -0.5), 0.06, 0.08)
    s.limb((0, -0.42), (0, 0.02), shoulder, hip)
    for side in (-1, 1):
        elbow = (side * (shoulder + random.uniform(0.02, 0.25)), random.uniform(-0.35, 0))
        hand = (elbow[0] + random.uniform(-0.2, 0.2), elbow[1] + random.uniform(-0.25, 0.25))
        s.limb((side * shoulder, -0.45), elbow, 0.07, 0.055)
        s.limb(elbow, hand, 0.055, 0.045)
        if legs:
            knee = (side * random.uniform(0.08, 0.25), 0.45)
            s.limb((side * 0.09, 0.02), knee, 0.1, 0.07)
            s.limb(knee, (knee[0] + random.uniform(-0.15, 0.15), 0.9), 0.07, 0.045)


def bird(random: Random, s: Stencil) -> None:
    s.ellipse(0, 0, 0.4, 0.16, 0.1)
    s.limb((0.3, -0.05), (0.5, random.uniform(-0.5, -0.1)), 0.1, 0.07)
    s.polygon(np.array(((0.5, -0.2), (0.75, -0.15), (0.5, -0.1))))
    wing = random.uniform(-0.9, 0.9)
    s.polygon(np.array(((-0.2, 0), (0.2, -0.05), (-0.1, wing), (-0.4, 0.9 * wing))))
    s.polygon(np.array(((-0.3, -0.05), (-0.85, random.uniform(-0.2, 0.2)), (-0.35, 0.08))))


def tree(random: Random, s: Stencil) -> None:
    s.limb((0, 0.95), (random.normal(0, 0.05), -0.2), 0.1, 0.05)
    for _ in range(random.integers(5, 14)):
        x, y = random.normal(0, 0.28), random.uniform(-0.65, 0)
        s.ellipse(x, y, *random.uniform(0.12, 0.3, 2))


def branches(random: Random, s: Stencil) -> None:
    def grow(x: float, y: float, angle: float, length: float, width: float) -> None:
        if length < 0.08:
            return
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        s.limb((x, y), end, width, 0.7 * width)
        for _ in range(2):
            grow(
                *end, angle + random.normal(0, 0.5), length * random.uniform(0.6, 0.85), 0.7 * width
            )

    grow(0, 0.95, -tau / 4 + random.normal(0, 0.2), 0.45, random.uniform(0.025, 0.07))


def fence(random: Random, s: Stencil) -> None:
    posts, width = int(random.integers(3, 9)), random.uniform(0.015, 0.06)
    for x in np.linspace(-0.85, 0.85, posts):
        s.limb((x, -0.7), (x, 0.9), width, width)
    for y in random.uniform(-0.5, 0.7, random.integers(1, 4)):
        s.limb((-0.95, y), (0.95, y), 0.8 * width, 0.8 * width)


def tuft(random: Random, s: Stencil) -> None:
    """Grass, hair, a palm."""
    for _ in range(random.integers(8, 40)):
        root, lean = random.normal(0, 0.25), random.normal(0, 0.4)
        tip = (root + lean, random.uniform(-0.9, 0.2))
        middle = (root + 0.3 * lean, (0.9 + tip[1]) / 2)
        s.limb((root, 0.9), middle, 0.03, 0.022)
        s.limb(middle, tip, 0.022, 0.006)


def car(random: Random, s: Stencil) -> None:
    roof, nose = random.uniform(-0.45, -0.2), random.uniform(0.5, 0.7)
    cabin = ((-0.6, 0), (-0.4, roof), (0.3, roof), (nose, 0))
    s.polygon(np.array(cabin))
    s.polygon(np.array(((-0.9, -0.02), (0.9, 0.02), (0.92, 0.3), (-0.92, 0.3))))
    for x in (-0.52, 0.52):
        s.ellipse(x, 0.3, 0.18, 0.18)


def letter(random: Random, s: Stencil) -> None:
    import cv2

    scale = s.side / 30
    origin = (round(0.15 * s.side), round(0.85 * s.side))
    text, font = chr(random.integers(65, 91)), int(random.integers(0, 5))
    cv2.putText(s.mask, text, origin, font, scale, 255, max(1, round(0.1 * s.side)), cv2.LINE_AA)


Outline = Callable[[Random, Stencil], None]

SIMPLE: tuple[Outline, ...] = (ellipse, blob, blob, polygon, box, star)
OUTDOORS: tuple[Outline, ...] = (beast, beast, person, person, tree, fence, tuft, bird, car, blob)
THINGS: tuple[Outline, ...] = (
    *SIMPLE,
    *(ring, cloud, beast, beast, person, person, bird, tree, branches, fence, tuft, car, letter),
)
