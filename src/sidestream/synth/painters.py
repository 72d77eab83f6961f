"""Painters of the drawn styles: pure functions from RGB pixels to painted RGB pixels.

Every mark comes from the picture itself, so that it moves with the picture and can be learnt: the
paintings hold no noise and nothing that sticks to the screen (but for the dots of a comic).
Inside, pictures are float32 in [0, 1]; lengths are pixels of a picture whose shorter side is 256.
"""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sidestream.types import Pixels

Image = NDArray[np.floating[Any]]
_RGB = tuple[int, int, int]


def oil(pixels: Pixels, seed: int = 0) -> Pixels:
    """Rich colour in short thick strokes along the forms, lit from the upper left."""
    image, scale = _open(pixels)
    luma = _luma(image)
    flow = _flow(luma, 3.0 * scale)
    base = _flatten(image, 2.5 * scale)
    strokes = _smear(np.dstack((base, _texture(luma, 2.0 * scale))), flow, 3.2 * scale)
    colour, bristle = np.ascontiguousarray(strokes[..., :3]), strokes[..., 3]
    colour = _contrast(colour + 0.07 * bristle[..., None], 1.25)
    colour = _saturate(colour, 2.0 * _vary(seed, 0.12)) * _rgb(1.10, 0.99, 0.80)
    relief = _emboss(bristle + 3.0 * _luma(base), 1.0 * scale, 135.0 + 30 * (_vary(seed, 1) - 1))
    return _close(_soft_clip(colour + _rgb(0.07, 0.04, 0.0)) + 0.15 * relief[..., None])


def watercolor(pixels: Pixels, seed: int = 0) -> Pixels:
    """Pale washes that pool at their edges; the highlights are left as paper."""
    image, scale = _open(pixels)
    base = _flatten(_calm(image, scale), 3.0 * scale)
    luma = np.maximum(_luma(base), 0.03)
    tone = _steps(luma**0.65, 5)
    wash = _saturate(base * np.minimum(tone / luma, 2.4)[..., None], 1.9 * _vary(seed, 0.15))
    light = _smooth(luma, 0.45, 0.85)
    pigment = (1 - np.clip(wash, 0, 1)) * (0.76 - 0.46 * light)[..., None]
    pool = np.clip(_blur(tone, 5.0 * scale) - _blur(tone, 1.0 * scale), -0.15, 0.3)
    rim = 2.0 * pool + 2.4 * np.clip(_slope(luma, 1.1 * scale), 0, 0.2)
    pigment = pigment * (1 + rim[..., None]) + 0.28 * np.clip(rim, 0, 1)[..., None]
    return _close(_rgb(0.99, 0.975, 0.94) - pigment)


def pencil(pixels: Pixels, seed: int = 0) -> Pixels:
    """Graphite on off-white paper: contours, soft shading and slanted strokes."""
    image, scale = _open(pixels)
    luma = _luma(_calm(image, scale))
    lines = _ink(luma, _flow(luma, 2.0 * scale), 1.2 * scale, 16.0 * _vary(seed, 0.2))
    soft = _blur(luma, 1.0 * scale)
    shade = np.clip(1 - soft - 0.5 * (soft - _blur(luma, 12.0 * scale)), 0, 1)
    angle = radians(-55.0 + 25 * (_vary(seed, 1) - 1))
    slant = np.zeros((*luma.shape, 2), np.float32) + np.array((cos(angle), sin(angle)), np.float32)
    hatch = _smear(_texture(_luma(image), 2.0 * scale), slant, 3.6 * scale)
    graphite = 0.76 * shade**1.8 - 0.14 * np.clip(hatch, -1.2, 1.2) * _smooth(shade, 0.2, 0.7)
    paper, lead = _rgb(0.965, 0.955, 0.93), _rgb(0.17, 0.17, 0.18)
    return _close(_mix(paper, lead, np.clip(graphite + 0.7 * lines, 0, 1)))


def anime(pixels: Pixels, seed: int = 0) -> Pixels:
    """Bright flat cels in a few tones, with clean dark outlines."""
    image, scale = _open(pixels)
    calm = _calm(image, scale)
    base = _flatten(calm, 2.5 * scale)
    luma = np.maximum(_luma(base), 0.02)
    tone = 0.10 + 1.0 * _steps(luma**0.66, 4)
    cel = _saturate(base * np.minimum(tone / luma, 2.0)[..., None] ** 0.9, 1.9 * _vary(seed, 0.12))
    outline = _luma(calm)
    lines = _ink(outline, _flow(outline, 2.5 * scale), 1.3 * scale, 22.0)
    return _close(_mix(_soft_clip(cel), _rgb(0.09, 0.06, 0.14), lines))


def render3d(pixels: Pixels, seed: int = 0) -> Pixels:
    """Smooth plastic under a warm lamp in a cool room: lit forms, dark creases and a sheen."""
    image, scale = _open(pixels)
    base = _flatten(_calm(image, scale), 2.5 * scale)
    luma = _luma(base)
    form = _blur(luma, 2.0 * scale)
    local = np.clip(luma - _blur(luma, 10.0 * scale), -0.3, 0.3)
    lamp = _emboss(
        form + 1.5 * _blur(luma, 5.0 * scale), 2.0 * scale, 125.0 + 30 * (_vary(seed, 1) - 1)
    )
    lit = _smooth(0.45 + 0.8 * lamp + 1.0 * local + 0.3 * (luma - 0.5), 0.0, 1.0)
    light = _mix(_rgb(0.34, 0.62, 1.02), _rgb(1.72, 1.30, 0.80), lit)
    dark = np.exp(-2.2 * np.clip(-local, 0, 1) - 1.0 * _slope(luma, 2.5 * scale))
    plastic = _soft_clip(_saturate(base**0.6, 2.2) * light * dark[..., None])
    sheen = _blur(_smooth(lamp + 1.0 * local, 0.25, 0.8) * (0.3 + 0.7 * luma), 1.0 * scale)
    return _close(plastic + 0.5 * sheen[..., None] * _rgb(1.0, 0.97, 0.9))


def van_gogh(pixels: Pixels, seed: int = 0) -> Pixels:
    """Long thick strokes that curl round the forms, in cobalt and chrome yellow."""
    image, scale = _open(pixels)
    luma = _luma(image)
    flow = _flow(_blur(luma, 1.5 * scale), 6.0 * scale)
    stroke = _smear(_smear(_texture(luma, 2.2 * scale), flow, 2.0 * scale), flow, 5.0 * scale)
    base = _smear(_flatten(image, 3.0 * scale), flow, 3.0 * scale)
    tone = _contrast(_luma(base)[..., None], 1.3)[..., 0] + 0.16 * stroke
    palette = _palette(
        tone,
        (0.0, 0.3, 0.52, 0.75, 1.0),
        ((12, 22, 66), (28, 74, 158), (84, 146, 172), (238, 198, 66), (255, 240, 176)),
    )
    own = _saturate(base + 0.16 * stroke[..., None], 1.8)
    relief = _emboss(stroke, 1.2 * scale, 135.0 + 40 * (_vary(seed, 1) - 1))
    return _close(_mix(own, palette, 0.68) + 0.2 * relief[..., None])


def ukiyo_e(pixels: Pixels, seed: int = 0) -> Pixels:
    """A woodblock print: flat muted inks on tinted paper, with bold key lines."""
    image, scale = _open(pixels)
    flow = _flow(_luma(image), 3.0 * scale)
    base = _flatten(_calm(image, scale), 3.5 * scale)
    tone = _steps(_luma(base), 4)
    inks = _palette(
        tone,
        (0.0, 0.25, 0.5, 0.75, 1.0),
        ((34, 46, 78), (62, 98, 122), (150, 160, 134), (224, 200, 152), (244, 230, 198)),
    )
    chroma = base - _luma(base)[..., None]
    print_ = inks + 0.95 * _vary(seed, 0.2) * np.clip(chroma, -0.25, 0.25)
    lines = _ink(_luma(base), flow, 1.9 * scale, 34.0)
    return _close(_mix(print_ * _rgb(1.0, 0.97, 0.88), _rgb(0.10, 0.10, 0.13), lines))


def comic(pixels: Pixels, seed: int = 0) -> Pixels:
    """Printed comics: primary colours, black ink, and dots that grow with the shade."""
    image, scale = _open(pixels)
    flow = _flow(_luma(image), 2.5 * scale)
    base = _flatten(_calm(image, scale), 2.5 * scale) ** 0.75
    luma = _luma(base)
    primary = _steps(np.clip(_saturate(_contrast(base, 1.3), 2.2), 0, 1), 2)
    flat = _mix(_rgb(1.0, 0.98, 0.92), primary, 0.88)
    angle, pitch = radians(45.0 + 15 * (_vary(seed, 1) - 1)), 6.0 * scale
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]].astype(np.float32) * (np.pi / pitch)
    across, along = x * cos(angle) + y * sin(angle), y * cos(angle) - x * sin(angle)
    screen = 0.5 + 0.5 * np.cos(across) * np.cos(along)
    dots = _smooth(screen - 0.35 - 0.75 * luma, 0.0, 0.25)
    lines = np.maximum(_ink(luma, flow, 1.8 * scale, 34.0), _smooth(luma, 0.13, 0.06))
    shaded = _mix(flat, flat * 0.4, dots)
    return _close(_mix(shaded, _rgb(0.05, 0.04, 0.07), lines))


def _open(pixels: Pixels) -> tuple[Image, float]:
    return pixels.astype(np.float32) / 255, min(pixels.shape[:2]) / 256


def _close(image: ArrayLike) -> Pixels:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _rgb(red: float, green: float, blue: float) -> Image:
    return np.array((red, green, blue), np.float32)


def _vary(seed: int, amount: float) -> float:
    """A factor near 1; exactly 1 for seed 0."""
    return 1.0 if seed == 0 else 1 + amount * float(np.random.default_rng(seed).uniform(-1, 1))


def _luma(image: Image) -> Image:
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def _mix(below: Image, above: Image, cover: Image | float) -> Image:
    share = cover if isinstance(cover, float | int) else cover[..., None]
    return below + (above - below) * share


def _smooth(value: Image, low: float, high: float) -> Image:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _steps(value: Image, count: int) -> Image:
    """`count` + 1 tones with soft borders."""
    scaled = np.clip(value, 0, 1) * count
    whole = np.floor(scaled)
    return (whole + _smooth(scaled - whole, 0.25, 0.75)) / count


def _contrast(image: Image, gain: float) -> Image:
    return 0.5 + gain * (image - 0.5)


def _soft_clip(image: Image) -> Image:
    """Rolls off above 0.8 instead of clipping."""
    over = np.maximum(image - 0.8, 0)
    return np.minimum(image, 0.8) + 0.2 * (1 - np.exp(-over / 0.2))


def _saturate(image: Image, gain: float) -> Image:
    grey = _luma(image)[..., None]
    return grey + gain * (image - grey)


def _palette(tone: Image, stops: tuple[float, ...], colours: tuple[_RGB, ...]) -> Image:
    table = np.array(colours, np.float32) / 255
    channels = [np.interp(tone, stops, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _blur(image: Image, sigma: float) -> Image:
    import cv2

    size = 2 * max(1, round(2.5 * sigma)) + 1
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma), np.float32)


def _gradient(plane: Image) -> tuple[Image, Image]:
    import cv2

    across = cv2.Scharr(plane, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(plane, cv2.CV_32F, 0, 1, scale=1 / 32)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _slope(plane: Image, sigma: float) -> Image:
    """Height difference over one `sigma`, so that it does not depend on the picture's size."""
    across, down = _gradient(_blur(plane, sigma))
    return sigma * np.sqrt(across**2 + down**2)


def _emboss(height: Image, sigma: float, degrees: float) -> Image:
    """Light minus shade on a relief lit from `degrees` (90 is above), in (-1, 1)."""
    across, down = _gradient(_blur(height, sigma))
    angle = radians(degrees)
    return np.tanh(4 * sigma * (down * sin(angle) - across * cos(angle)))


def _flow(luma: Image, sigma: float) -> Image:
    """Unit vectors (x, y) along the picture's edges, from its structure tensor."""
    across, down = _gradient(luma)
    tensor = _blur(np.dstack((across * across, down * down, across * down)), sigma)
    half = 0.5 * np.arctan2(2 * tensor[..., 2], tensor[..., 0] - tensor[..., 1])
    return np.dstack((-np.sin(half), np.cos(half)))


def _smear(image: Image, flow: Image, reach: float) -> Image:
    """Averages along `flow`, over about twice `reach` to both sides."""
    import cv2

    rows, columns = image.shape[:2]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for step in (reach / 3, reach):
        dx, dy = step * flow[..., 0], step * flow[..., 1]
        ahead = cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        behind = cv2.remap(image, x - dx, y - dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        image = (image + np.asarray(ahead) + np.asarray(behind)) / np.float32(3)
    return image


def _calm(image: Image, scale: float) -> Image:
    """Takes the small texture out and keeps the edges."""
    import cv2

    smooth = cv2.bilateralFilter(image, max(3, 2 * round(4 * scale) + 1), 0.16, 5.0 * scale)
    return np.asarray(smooth, np.float32)


def _flatten(image: Image, radius: float) -> Image:
    """Neighbours averaged, each trusted the more the calmer it is around: flat, with firm edges."""
    mean, grey = _blur(image, radius / 2), _luma(image)
    spread = np.maximum(_blur(grey * grey, radius / 2) - _luma(mean) ** 2, 0)
    trust = 1e-6 + 1 / (1 + spread / np.float32(2e-4)) ** 2
    total = _blur(np.dstack((mean * trust[..., None], trust)), 0.6 * radius)
    return np.ascontiguousarray(total[..., :3] / total[..., 3:])


def _texture(luma: Image, sigma: float) -> Image:
    """The picture's own marks of one size, evened out: about -1 to 1, and 0 where it is flat."""
    band = _blur(luma, sigma) - _blur(luma, 1.8 * sigma)
    level = np.sqrt(_blur(band * band, 4 * sigma))
    return band / (level + 0.010)


def _ink(luma: Image, flow: Image, sigma: float, gain: float) -> Image:
    """Cover of the lines drawn on the dark side of the edges, smoothed along them."""
    band = _blur(luma, sigma) - 0.985 * _blur(luma, 1.7 * sigma)
    edge = _smear(band, flow, 2.5 * sigma)
    return _smooth(-gain * edge, 0.12, 0.9)
