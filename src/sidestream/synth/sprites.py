"""Cut-out pictures that move over one another: what is seen of them, and where that was a frame before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.flow import Flow, Mask
from sidestream.synth.layers import Canvas, Matrix, Plane

Path = Callable[[float], Matrix]
Owners = NDArray[np.int16]
"""Which sprite each pixel shows, counted from the back."""

NOBODY = -1


@dataclass(frozen=True)
class Sprite:
    canvas: Canvas
    at: Path
    """From the canvas's pixels to the screen's."""
    endless: bool = False
    """Mirrored beyond its edges, so that it fills any view."""


@dataclass(frozen=True)
class View:
    """What is on the screen at a time."""

    picture: Plane
    """Height x width x 3, 0 to 255."""
    owners: Owners


def view(sprites: Sequence[Sprite], time: float, size: Size) -> View:
    """Paints the sprites from back to front."""
    picture = np.zeros((size.height, size.width, 3), np.float32)
    owners = np.full((size.height, size.width), NOBODY, np.int16)
    for owner, sprite in enumerate(sprites):
        matrix = sprite.at(time)
        top, left, bottom, right = _window(sprite, matrix, size)
        if top >= bottom or left >= right:
            continue
        shown = _warped(sprite, matrix, (left, top), (right - left, bottom - top))
        if sprite.endless:
            picture, owners[:] = np.ascontiguousarray(shown[..., :3]), owner
            continue
        cover = shown[..., 3:]
        part = picture[top:bottom, left:right]
        part *= 1 - cover
        part += shown[..., :3]
        owners[top:bottom, left:right][cover[..., 0] > 0.5] = owner
    return View(picture, owners)


def backward_flow(sprites: Sequence[Sprite], owners: Owners, before: float, time: float) -> Flow:
    """For each pixel at `time`, how far away the surface seen there was at the time before."""
    flow = np.zeros((*owners.shape, 2), np.float32)
    for owner, sprite in enumerate(sprites):
        y, x = np.nonzero(owners == owner)
        if not len(x):
            continue
        back = sprite.at(before) @ np.linalg.inv(sprite.at(time))
        there = back @ np.stack((x, y, np.ones_like(x))).astype(np.float64)
        flow[y, x] = (there[:2] / there[2] - (x, y)).T
    return flow


def revealed(flow: Flow, owners: Owners, owners_before: Owners) -> Mask:
    """Where what is seen was outside the frame before, or behind something."""
    height, width = owners.shape
    x = np.rint(flow[..., 0] + np.arange(width)).astype(np.intp)
    y = np.rint(flow[..., 1] + np.arange(height)[:, None]).astype(np.intp)
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    there = owners_before[y.clip(0, height - 1), x.clip(0, width - 1)]
    return outside | (there != owners)


def _window(sprite: Sprite, matrix: Matrix, size: Size) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what it can cover of the screen."""
    if sprite.endless:
        return 0, 0, size.height, size.width
    rows, columns = sprite.canvas.shape[:2]
    x, y, w = matrix @ np.array([[0, columns, columns, 0], [0, 0, rows, rows], [1, 1, 1, 1]])
    x, y = x / w, y / w
    return (
        max(0, int(y.min()) - 1),
        max(0, int(x.min()) - 1),
        min(size.height, int(y.max()) + 2),
        min(size.width, int(x.max()) + 2),
    )


def _warped(
    sprite: Sprite, matrix: Matrix, corner: tuple[int, int], sides: tuple[int, int]
) -> Canvas:
    import cv2

    moved = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1]]) @ matrix
    border = cv2.BORDER_REFLECT_101 if sprite.endless else cv2.BORDER_CONSTANT
    warped = cv2.warpPerspective(sprite.canvas, moved, sides, borderMode=border)
    return np.asarray(warped, np.float32)
