"""Shapes and ranges of pictures: fitting to a working size, and uint8 pixels to and from [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import gcd, log
from typing import TYPE_CHECKING

import numpy as np

from sidestream.config import LIMITS, SIZE_MULTIPLE, Fit, Size, StreamConfig
from sidestream.types import Controls, Pixels

if TYPE_CHECKING:
    import torch


def fit(pixels: Pixels, size: Size, how: Fit = "crop") -> Pixels:
    """Brings a picture to a working size.

    `crop` cuts what sticks out of the size's shape, `pad` adds black bars, `stretch` distorts, and
    `square` takes the centre square first.
    """
    if how == "square":
        side = min(pixels.shape[:2])
        pixels = _centre(pixels, side, side)
    if pixels.shape[:2] == (size.height, size.width):
        return np.ascontiguousarray(pixels)
    if how == "pad":
        return _pad(pixels, size)
    if how != "stretch":
        height, width = pixels.shape[:2]
        pixels = _centre(
            pixels,
            min(width, max(1, round(height * size.width / size.height))),
            min(height, max(1, round(width * size.height / size.width))),
        )
    return resize(pixels, size)


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Distorts a picture to a size: by area where it shrinks, by cubic interpolation where it grows."""
    height, width = pixels.shape[:2]
    smaller = (min(width, size.width), min(height, size.height))
    for step, shrinks in ((smaller, True), ((size.width, size.height), False)):
        if step != (pixels.shape[1], pixels.shape[0]):
            import cv2

            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            pixels = np.asarray(cv2.resize(pixels, step, interpolation=how), np.uint8)
    return np.ascontiguousarray(pixels)


def fitted_size(
    width: int, height: int, asked: Controls | StreamConfig, budget_pixels: int
) -> Size:
    """The working size of a source: the one asked for, or the model's own in the source's aspect."""
    if asked.fit == "square":
        width = height = min(width, height)
    return asked.size or working_size(width, height, budget_pixels)


def as_needed(asked: Controls | StreamConfig, budget_pixels: int) -> Callable[[int, int], Size]:
    """For a source: how small its pictures of a width and height may be handed out."""
    return lambda width, height: coarser(
        width, height, fitted_size(width, height, asked, budget_pixels), asked.fit
    )


def coarser(width: int, height: int, needed: Size, how: Fit = "crop") -> Size:
    """The least that a picture may be made smaller to, while it is converted, before it is brought to the size needed.

    It keeps its shape to the pixel, so that all that follows from that stays the same. Either nothing but cutting is left
    to do then, or the picture is twice as fine as needed: what is sampled twice at nearly one size gets uneven.
    """
    parts = gcd(width, height)
    across, down = width // parts, height // parts

    def covering(finer: int) -> int:
        return max(-(-finer * needed.width // across), -(-finer * needed.height // down))

    least = covering(1)
    meets = least * across == needed.width, least * down == needed.height
    exact = any(meets) if how == "crop" else all(meets)
    times = min(parts, least if exact else covering(2))
    return Size(across * times, down * times)


@lru_cache
def working_size(width: int, height: int, budget_pixels: int) -> Size:
    """The size that comes nearest to a picture's aspect at about the budget, in multiples of 32.

    A wrong aspect costs four times as much as the same departure from the budget: 1920x1080 at 512 * 512
    pixels gives 672x384.
    """
    step, parts = SIZE_MULTIPLE, gcd(width, height)
    across, down = width // parts, height // parts  # the same for every size of this shape

    def cost(size: Size) -> float:
        aspect = (log(size.width) - log(size.height)) - (log(across) - log(down))
        area = log(size.width) + log(size.height) - log(budget_pixels)
        return abs(aspect) + abs(area) / 4

    def sizes() -> Iterator[Size]:
        for wide in range(step, LIMITS.max_size + 1, step):
            below = int(wide * height / width) // step * step
            for high in (below, below + step):
                yield Size(wide, min(max(high, step), LIMITS.max_size))

    return min(sizes(), key=cost)


def to_unit(pixels_BHWC: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """uint8 pixels as B x 3 x H x W in [-1, 1], float32 unless told; channels stay last in memory."""
    unit = pixels_BHWC.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return unit.to(dtype or unit.dtype)


def to_bytes(pictures_BCHW: torch.Tensor) -> torch.Tensor:
    """The nearest uint8 pixels, B x H x W x 3, of pictures in [-1, 1]; what lies outside is clamped."""
    import torch

    # In one place: on a CPU, memory for each step would take longer than the steps.
    levels = pictures_BCHW.float().add(1).mul_(127.5).clamp_(0, 255).round_()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _centre(pixels: Pixels, width: int, height: int) -> Pixels:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _pad(pixels: Pixels, size: Size) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(size.width / width, size.height / height)
    inner = Size(
        min(size.width, max(1, round(width * scale))),
        min(size.height, max(1, round(height * scale))),
    )
    if inner == size:
        return resize(pixels, size)
    padded = np.zeros((size.height, size.width, 3), np.uint8)
    _centre(padded, inner.width, inner.height)[:] = resize(pixels, inner)
    return padded
