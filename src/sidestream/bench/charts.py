"""Charts as pictures: curves over frames, and bars. Every axis starts at zero, so that lengths may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

from sidestream.types import Pixels

if TYPE_CHECKING:
    from cv2.typing import MatLike

Colour = tuple[int, int, int]
Curve = Sequence[tuple[float, float]]

WIDTH, CURVE_HEIGHT = 960, 480
FINE = 2
"""Drawn this much larger and scaled down, since the font is made of strokes."""
TOP, BOTTOM, RIGHT, SIDE = 88, 60, 72, 84
BAR, BETWEEN = 20, 14
DOTTED = 40
"""Curves of fewer points show each."""
INK, PALE, WHITE = (40, 44, 52), (222, 225, 230), (255, 255, 255)
# Told apart by colour-blind eyes too (Okabe and Ito).
COLOURS: Sequence[Colour] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
)


@dataclass(frozen=True)
class Axes:
    """Where they are in a picture, and what their ends mean."""

    left: int
    right: int
    top: int
    bottom: int
    x_end: float
    y_end: float

    def place(self, x: float, y: float) -> tuple[int, int]:
        across = self.left + (self.right - self.left) * x / self.x_end
        up = self.bottom - (self.bottom - self.top) * y / self.y_end
        return round(across), round(up)


def curves(title: str, x_name: str, y_name: str, series: Mapping[str, Curve]) -> Pixels:
    """One curve a series."""
    xs, ys = zip(*(point for curve in series.values() for point in curve), strict=True)
    x_ticks, y_ticks = ticks(max(xs)), ticks(max(ys))
    canvas = _Canvas(WIDTH, CURVE_HEIGHT, title, y_name, list(series))
    axes = Axes(SIDE, WIDTH - RIGHT, TOP, CURVE_HEIGHT - BOTTOM, x_ticks[-1], y_ticks[-1])
    for tick in y_ticks:
        across, up = axes.place(0, tick)
        canvas.line((across, up), (axes.right, up), PALE)
        canvas.text(number(tick), (across - 10, up + 5), ends=True)
    for tick in x_ticks:
        across, up = axes.place(tick, 0)
        canvas.line((across, up), (across, up + 5), INK)
        canvas.text(number(tick), (across + 4 * len(number(tick)), up + 22), ends=True)
    canvas.line(axes.place(0, 0), axes.place(x_ticks[-1], 0), INK)
    canvas.text(x_name, (axes.right, axes.bottom + 44), ends=True)
    for curve, colour in zip(series.values(), _colours(), strict=False):
        places = [axes.place(*point) for point in curve]
        for before, after in pairwise(places):
            canvas.line(before, after, colour, 2)
        for place in places if len(places) < DOTTED else ():
            canvas.dot(place, colour)
    return canvas.picture()


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> Pixels:
    """A group of bars a name, in each a bar a series, its value at its end."""
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    colour_of = dict(zip(series, _colours(), strict=False))
    x_ticks = ticks(max(value for group in groups.values() for value in group.values()))
    count = sum(len(group) for group in groups.values())
    height = TOP + BOTTOM + count * BAR + len(groups) * BETWEEN
    canvas = _Canvas(WIDTH, height, title, unit, series if len(series) > 1 else [])
    left = 34 + max(map(canvas.width, groups))
    axes = Axes(left, WIDTH - RIGHT, TOP, height - BOTTOM, x_ticks[-1], 1)
    for tick in x_ticks:
        across, _ = axes.place(tick, 0)
        canvas.line((across, axes.top), (across, axes.bottom), PALE)
        canvas.text(number(tick), (across + 4 * len(number(tick)), axes.bottom + 22), ends=True)
    at = axes.top + BETWEEN // 2
    for name, group in groups.items():
        canvas.text(name, (left - 10, at + len(group) * BAR // 2 + 5), ends=True)
        for one, value in group.items():
            end, _ = axes.place(value, 0)
            canvas.box((left, at + 2), (max(end, left + 3), at + BAR - 2), colour_of[one])
            canvas.text(number(value), (end + 6, at + BAR - 5))
            at += BAR
        at += BETWEEN
    canvas.line((left, axes.top), (left, axes.bottom), INK)
    return canvas.picture()


def ticks(end: float, count: int = 5) -> list[float]:
    """From zero to `end` or a little beyond, in steps of 1, 2 or 5 times a power of ten."""
    if end <= 0:
        return [0.0, 1.0]
    rough = end / count
    power = 10.0 ** floor(log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= 0.999 * rough)
    places = range(int(np.ceil(end / step - 1e-9)) + 1)
    return [float(f"{place * step:.12g}") for place in places]


def number(value: float) -> str:
    """In three digits or so, without an exponent: 0.25, 7.3, 1240."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class _Canvas:
    """A picture being drawn, in coordinates of the finished one."""

    def __init__(
        self, width: int, height: int, title: str, unit: str, legend: Sequence[str]
    ) -> None:
        self._pixels: MatLike = np.full((FINE * height, FINE * width, 3), 255, np.uint8)
        self.text(title, (24, 34), large=True)
        self.text(unit, (24, 66))
        at = width - RIGHT
        for name, colour in reversed(list(zip(legend, _colours(), strict=False))):
            self.text(name, (at, 66), ends=True)
            at -= self.width(name) + 22
            self.box((at, 56), (at + 14, 67), colour)
            at -= 22

    def line(
        self, start: tuple[int, int], end: tuple[int, int], colour: Colour, thickness: int = 1
    ) -> None:
        import cv2

        cv2.line(self._pixels, _fine(start), _fine(end), colour, FINE * thickness, cv2.LINE_AA)

    def box(self, corner: tuple[int, int], other: tuple[int, int], colour: Colour) -> None:
        import cv2

        cv2.rectangle(self._pixels, _fine(corner), _fine(other), colour, -1)

    def dot(self, place: tuple[int, int], colour: Colour) -> None:
        import cv2

        cv2.circle(self._pixels, _fine(place), 4 * FINE, colour, -1, cv2.LINE_AA)
        cv2.circle(self._pixels, _fine(place), 4 * FINE, WHITE, FINE // 2, cv2.LINE_AA)

    def text(
        self, text: str, place: tuple[int, int], *, ends: bool = False, large: bool = False
    ) -> None:
        """Begins at `place`, or ends there."""
        import cv2

        across, up = place
        start = (across - self.width(text) if ends else across, up)
        cv2.putText(
            self._pixels,
            text,
            _fine(start),
            cv2.FONT_HERSHEY_SIMPLEX,
            (0.68 if large else 0.46) * FINE,
            INK,
            2 if large else 1,
            cv2.LINE_AA,
        )

    def picture(self) -> Pixels:
        import cv2

        height, width = self._pixels.shape[:2]
        size = (width // FINE, height // FINE)
        return np.asarray(cv2.resize(self._pixels, size, interpolation=cv2.INTER_AREA), np.uint8)

    @staticmethod
    def width(text: str) -> int:
        import cv2

        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.46 * FINE, 1)
        return width // FINE


def _fine(place: tuple[int, int]) -> tuple[int, int]:
    return FINE * place[0], FINE * place[1]


def _colours() -> Sequence[Colour]:
    return [*COLOURS, *COLOURS]
