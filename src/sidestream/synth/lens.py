"""From the light of a scene to the pixels of a recording: exposure, blur, vignette, noise, compression, bars."""

from __future__ import annotations

from dataclasses import dataclass
from math import tau

import numpy as np
from numpy.typing import NDArray

from sidestream.synth.layers import Plane
from sidestream.synth.palettes import Random, colour_matrix
from sidestream.types import Pixels


@dataclass(frozen=True)
class Lens:
    develop: NDArray[np.float64]
    """3 x 4: colours, and what is added to them."""
    flicker: tuple[float, float, float] = (0, 1, 0)
    """How far the light changes, in how many frames, and from where."""
    blur: float = 0
    """Standard deviation in pixels."""
    vignette: float = 0
    noise: float = 0
    """Standard deviation in levels."""
    quality: int = 100
    """Of JPEG; below 100, its artefacts are visible."""
    bars: int = 0
    """Black rows at the top and at the bottom."""


CLEAR = Lens(np.eye(3, 4))


def lens_for(random: Random, picture: Plane) -> Lens:
    """Exposed for the picture: mid-tones and moderate colours mostly, as cameras and their users choose."""
    rows, few = picture.shape[0], picture[::4, ::4]
    mean, spread = float(few.mean()), float(few.mean(2).std())
    middle = float(np.clip(random.normal(120, 27), 40, 205))
    contrast = float(np.clip(random.normal(50, 13), 18, 80)) / max(spread, 8)
    contrast = float(np.clip(contrast, 0.6, 2.5)) if random.random() < 0.85 else 1.0
    chroma = float((few.max(2) - few.min(2)).mean()) * contrast
    wanted = random.gamma(3, 11) if random.random() < 0.85 else random.uniform(0, 110)
    saturation = float(np.clip(wanted / max(chroma, 5), 0.0, 1.6))
    matrix = contrast * colour_matrix(saturation) * random.normal(1, 0.03, 3)[:, None]
    offset = middle - contrast * mean
    odd = random.random(5) < (0.35, 0.25, 0.5, 0.4, 0.03)
    return Lens(
        np.column_stack((matrix, np.full(3, offset))),
        (random.uniform(0.02, 0.25) * odd[0], random.uniform(20, 200), random.uniform(0, tau)),
        blur=min(2.0, random.gamma(1.2, 0.5)) * odd[1] * rows / 256,
        vignette=random.uniform(0, 0.5) * odd[2],
        noise=random.gamma(1.5, 1.5) * odd[3],
        quality=int(random.integers(35, 95)) if random.random() < 0.3 else 100,
        bars=int(rows * random.uniform(0.06, 0.14) * odd[4]),
    )


def develop(picture: Plane, lens: Lens, time: float, random: Random) -> Pixels:
    """What the lens makes of the picture at that time; grain is drawn from the generator."""
    import cv2

    reach, frames, phase = lens.flicker
    gain = 1 + reach * (np.sin(tau * time / frames + phase) - np.sin(phase))
    shown = cv2.transform(picture, (gain * lens.develop).astype(np.float32))
    if lens.blur > 0.2:
        shown = cv2.GaussianBlur(shown, (0, 0), lens.blur)
    if lens.vignette:
        shown = shown * _falloff(picture.shape[0], picture.shape[1], lens.vignette)
    if lens.noise:
        shown = shown + lens.noise * random.standard_normal(shown.shape, np.float32)
    pixels = np.rint(np.clip(shown, 0, 255)).astype(np.uint8)
    if lens.quality < 100:
        _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, lens.quality])
        pixels = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED), np.uint8)
    if lens.bars:
        pixels[: lens.bars] = pixels[-lens.bars :] = 0
    return pixels


def _falloff(rows: int, columns: int, depth: float) -> Plane:
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)
    return np.asarray(1 - depth * (x * x + y * y) / 2, np.float32)[..., None]
