"""The styles a picture can be painted in, by name. Drawn styles are in `painters`, grades are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidestream.synth import painters
from sidestream.types import Pixels

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Painter(Protocol):
    """The same pixels and seed always give the same painting; seed 0 is the plain style."""

    def __call__(self, pixels: Pixels, seed: int = 0) -> Pixels: ...


@dataclass(frozen=True)
class Style:
    """A name and its painter; a style that is not `trained` is held out, to see what generalises."""

    name: str
    paint: Painter
    trained: bool = True


def identity(pixels: Pixels, seed: int = 0) -> Pixels:
    return pixels.copy()


def night(pixels: Pixels, seed: int = 0) -> Pixels:
    """Moonlight: dark and blue, with what was bright still glowing."""
    light = _curve(0.03, 0.22, 0.68)[_luma(pixels)]
    return _tint(pixels, light, own=0.34, tint=(0.55, 0.78, 1.45))


def sunset(pixels: Pixels, seed: int = 0) -> Pixels:
    """Low sun: orange lights over violet shadows."""
    grey = _luma(pixels)
    ramp = np.stack(
        [_curve(*c)[grey] for c in ((0.10, 0.86, 1.0), (0.0, 0.40, 0.94), (0.18, 0.22, 0.46))], -1
    )
    return _bytes(0.66 * ramp + 0.34 * (pixels / np.float32(255)))


def monochrome(pixels: Pixels, seed: int = 0) -> Pixels:
    """Black and white, developed a little harder than it was taken."""
    t = np.linspace(0, 1, 256)
    grey = _bytes(0.3 * t + 0.7 * t * t * (3 - 2 * t))[_luma(pixels)]
    return np.repeat(grey[..., None], 3, axis=-1)


def warm(pixels: Pixels, seed: int = 0) -> Pixels:
    return _channels(pixels, ((0.06, 0.64, 1.0), (0.02, 0.50, 0.95), (0.0, 0.30, 0.72)))


def cold(pixels: Pixels, seed: int = 0) -> Pixels:
    return _channels(pixels, ((0.0, 0.32, 0.80), (0.02, 0.50, 0.95), (0.10, 0.66, 1.0)))


def invert(pixels: Pixels, seed: int = 0) -> Pixels:
    return 255 - pixels


def _luma(pixels: Pixels) -> NDArray[np.uint8]:
    return (pixels @ _LUMA + np.float32(0.5)).astype(np.uint8)


def _curve(black: float, middle: float, white: float) -> NDArray[np.float32]:
    """256 levels on the parabola through three points."""
    t = np.linspace(0, 1, 256)
    bend = 4 * middle - 2 * (black + white)
    return (black * (1 - t) + white * t + bend * t * (1 - t)).astype(np.float32)


def _channels(pixels: Pixels, curves: tuple[tuple[float, float, float], ...]) -> Pixels:
    return np.stack(
        [_bytes(_curve(*curve))[pixels[..., c]] for c, curve in enumerate(curves)], axis=-1
    )


def _tint(
    pixels: Pixels, light: NDArray[np.float32], *, own: float, tint: tuple[float, float, float]
) -> Pixels:
    cast = light[..., None] * np.array(tint, np.float32)
    return _bytes((1 - own) * cast + own * cast * 2 * (pixels / np.float32(255)))


def _bytes(image: ArrayLike) -> Pixels:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


_ALL = (
    Style("oil", painters.oil),
    Style("watercolor", painters.watercolor),
    Style("pencil", painters.pencil),
    Style("anime", painters.anime),
    Style("render3d", painters.render3d),
    Style("identity", identity),
    Style("night", night),
    Style("sunset", sunset),
    Style("monochrome", monochrome),
    Style("warm", warm),
    Style("cold", cold),
    Style("invert", invert),
    Style("van_gogh", painters.van_gogh, trained=False),
    Style("ukiyo_e", painters.ukiyo_e, trained=False),
    Style("comic", painters.comic, trained=False),
)
STYLES: Mapping[str, Style] = MappingProxyType({style.name: style for style in _ALL})
