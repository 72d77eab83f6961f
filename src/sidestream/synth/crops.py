"""Surfaces cut out of photographs."""

from __future__ import annotations

from math import tau

import numpy as np

from sidestream.synth.palettes import Colours, Random, colour_matrix, ramp
from sidestream.synth.planes import Ground, smooth
from sidestream.types import Pixels


def photograph(random: Random, ground: Ground) -> Pixels:
    """A crop of a photograph, tight to whole, turned, skewed, its colours shifted."""
    import cv2

    photo = ground.photos[int(random.integers(len(ground.photos)))]
    rows, columns = photo.shape[:2]
    share = np.exp(random.uniform(np.log(0.35), 0))
    aspect = ground.columns / ground.rows * np.exp(random.normal(0, 0.15))
    height = int(min(rows, columns / aspect) * share)
    width = int(min(columns, height * aspect))
    top, left = random.integers(rows - height + 1), random.integers(columns - width + 1)
    crop = photo[top : top + height, left : left + width]
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    if random.random() < 0.1:
        crop = crop[::-1]
    shrinks = height > ground.rows
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    crop = cv2.resize(crop, (ground.columns, ground.rows), interpolation=method)
    crop = np.asarray(crop, np.uint8)
    if random.random() < 0.5:
        crop = _skewed(random, crop)
    return _recoloured(random, crop, ground.colours)


def photographs_mixed(random: Random, ground: Ground) -> Pixels:
    one, other = photograph(random, ground), photograph(random, ground)
    plane = smooth(random, ground.rows, ground.columns, 3)
    share = (0.5 + random.uniform(1, 8) * (plane - 0.5)).clip(0, 1)[..., None]
    return (one + share * (other.astype(np.float32) - one)).astype(np.uint8)


def _skewed(random: Random, pixels: Pixels) -> Pixels:
    import cv2

    rows, columns = pixels.shape[:2]
    angle = random.normal(0, 10) if random.random() < 0.8 else random.uniform(0, 360)
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, random.uniform(1.0, 1.3))
    matrix[2, :2] = random.normal(0, 0.15, 2) / (columns, rows)
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101
    warped = cv2.warpPerspective(pixels, matrix, (columns, rows), flags=flags, borderMode=border)
    return np.asarray(warped, np.uint8)


def _recoloured(random: Random, pixels: Pixels, colours: Colours) -> Pixels:
    import cv2

    if np.array_equal(pixels[::16, ::16, 0], pixels[::16, ::16, 2]):
        pixels = (
            ramp(np.asarray(pixels[..., 1] / 255, np.float32), colours)
            if random.random() < 0.75
            else pixels
        )
    if random.random() < 0.4:
        return pixels
    saturation = random.choice((0.0, 0.5, 1.0, 1.0, 1.4)) + random.normal(0, 0.1)
    hue = random.normal(0, 0.12) if random.random() < 0.7 else random.uniform(0, tau)
    matrix = random.lognormal(0, 0.15) * colour_matrix(saturation, hue)
    return np.asarray(cv2.transform(pixels, matrix), np.uint8)
