"""Whether a restyled frame still shows what its input shows: structure and edges, of lightness alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream.flow import grey
from sidestream.types import Pixels

Plane = NDArray[np.floating[Any]]

WINDOW, SIGMA = 11, 1.5
"""Of the Gaussian within which SSIM compares."""
BRIGHTNESS, CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of lightness, by its usual constants; 1 where pictures are equal."""
    x, y = (grey(pixels).astype(np.float32) for pixels in (a, b))
    mean_x, mean_y = _local(x), _local(y)
    spread_x, spread_y = _local(x * x) - mean_x**2, _local(y * y) - mean_y**2
    common = _local(x * y) - mean_x * mean_y
    bright = (2 * mean_x * mean_y + BRIGHTNESS) / (mean_x**2 + mean_y**2 + BRIGHTNESS)
    structure = (2 * common + CONTRAST) / (spread_x + spread_y + CONTRAST)
    return float((bright * structure).mean())


def edges(a: Pixels, b: Pixels) -> float:
    """How well the lengths of the gradients of two pictures go together: their correlation, 1 at most.

    Whether edges are where they should be, whatever their strength; of flat pictures it is 0.
    """
    one, other = _slope(a), _slope(b)
    one, other = one - one.mean(), other - other.mean()
    length = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / length if length > 1e-6 else 0.0


def _slope(pixels: Pixels) -> Plane:
    import cv2

    soft = cv2.GaussianBlur(grey(pixels), (0, 0), 1.0)
    across, down = (np.asarray(cv2.Sobel(soft, cv2.CV_32F, *way)) for way in ((1, 0), (0, 1)))
    return np.hypot(across, down)


def _local(plane: Plane) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (WINDOW, WINDOW), SIGMA), np.float32)
