"""Pictures as stacks of layers, each drawn once and then moved about, so that where a pixel comes from is known.

Lengths are in units of so many pixels, x to the right and y down, so that a scene can be drawn at any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidestream.config import Size
from sidestream.flow import Flow
from sidestream.types import Pixels

Plane = NDArray[np.float32]
"""One value a pixel: a distance, a cover, a texture."""
Canvas = NDArray[np.float32]
"""H x W x 4: colour 0 to 255 already multiplied by its cover, then cover 0 to 1."""
Matrix = NDArray[np.float64]
"""3 x 3, from a layer's coordinates to the screen's."""
Point = tuple[float, float]


def place(x: float, y: float, angle: float = 0, scale: float = 1, pivot: Point = (0, 0)) -> Matrix:
    """Turns (clockwise) and scales about the pivot, then brings the pivot to (x, y)."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    px, py = pivot
    return np.array(
        [[cos, -sin, x - cos * px + sin * py], [sin, cos, y - sin * px - cos * py], [0, 0, 1]]
    )


def mix(low: ArrayLike, high: ArrayLike, amount: Plane) -> Canvas:
    start, share = np.asarray(low, np.float32), amount.clip(0, 1)[..., None]
    return np.asarray(start + share * (np.asarray(high, np.float32) - start), np.float32)


class Layer:
    """A drawing, and where it is at a time."""

    def __init__(
        self, width: float, height: float, unit: float, at: Callable[[float], Matrix]
    ) -> None:
        self.unit, self.at = unit, at
        rows, columns = round(height * unit), round(width * unit)
        self.y, self.x = (np.mgrid[:rows, :columns] / unit).astype(np.float32)
        self.canvas: Canvas = np.zeros((rows, columns, 4), np.float32)

    def paint(self, cover: Plane | float, colour: ArrayLike) -> None:
        """Lays a colour, or a coloured picture, over what is there."""
        cover = np.broadcast_to(np.float32(cover), self.x.shape)[..., None]
        self.canvas *= 1 - cover
        self.canvas[..., :3] += cover * np.asarray(colour, np.float32)
        self.canvas[..., 3:] += cover

    def fill(self, distance: Plane, colour: ArrayLike) -> None:
        """Where the distance to an outline is negative; edges are one pixel soft."""
        self.paint((0.5 - self.unit * distance).clip(0, 1), colour)

    def disc(self, x: float, y: float, radius: float, colour: ArrayLike) -> None:
        self.fill(np.hypot(self.x - x, self.y - y) - radius, colour)

    def polygon(self, corners: Sequence[Point], colour: ArrayLike) -> None:
        """A convex one, its corners clockwise as seen."""
        following = [*corners[1:], corners[0]]
        sides = [
            ((self.x - ax) * (by - ay) - (self.y - ay) * (bx - ax)) / np.hypot(bx - ax, by - ay)
            for (ax, ay), (bx, by) in zip(corners, following, strict=True)
        ]
        self.fill(np.maximum.reduce(sides), colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: ArrayLike) -> None:
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), colour)

    def texture(self, random: np.random.Generator, width: float, height: float) -> Plane:
        """Smooth noise around a half, its coarsest cells that wide and high."""
        import cv2

        rows, columns = self.x.shape
        total = np.full((rows, columns), 0.5, np.float32)
        for octave in range(5):
            cells = [
                max(2, round(n * 2**octave / (self.unit * side)))
                for n, side in ((rows, height), (columns, width))
            ]
            coarse = (random.random(cells) - 0.5).astype(np.float32) * 0.6**octave / 1.6
            total += cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
        return total.clip(0, 1)


def compose(layers: Sequence[Layer], time: float, size: Size) -> Pixels:
    """Paints the layers from back to front."""
    picture = np.zeros((size.height, size.width, 3), np.float32)
    for layer in layers:
        shown = _shown(layer, time, size)
        picture *= 1 - shown[..., 3:]
        picture += shown[..., :3]
    return np.rint(picture.clip(0, 255)).astype(np.uint8)


def backward_flow(layers: Sequence[Layer], before: float, time: float, size: Size) -> Flow:
    """For each pixel at `time`, how far away the surface seen there was at the time before."""
    y, x = np.mgrid[: size.height, : size.width]
    flow = np.zeros((size.height, size.width, 2), np.float32)
    for layer in layers:
        back = _pixels(layer, before) @ np.linalg.inv(_pixels(layer, time)) - np.eye(3)
        moved = np.stack([row[0] * x + row[1] * y + row[2] for row in back[:2]], -1)
        seen = _shown(layer, time, size)[..., 3] > 0.5
        flow[seen] = moved[seen]
    return flow


def _pixels(layer: Layer, time: float) -> Matrix:
    matrix = layer.at(time).copy()
    matrix[:2, 2] *= layer.unit
    return matrix


def _shown(layer: Layer, time: float, size: Size) -> Canvas:
    import cv2

    shown = cv2.warpAffine(layer.canvas, _pixels(layer, time)[:2], (size.width, size.height))
    return np.asarray(shown, np.float32)
