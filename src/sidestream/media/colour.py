"""From a decoded picture of any format to upright 8-bit RGB. Nothing else knows colour matrices or orientation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from sidestream.config import Size
from sidestream.types import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Smaller = Callable[[int, int], Size]

UNSPECIFIED = 2
"""The matrix of a stream that does not say which it uses."""
PQ_AND_HLG = (16, 18)


class _ToSdr(TypedDict, total=False):
    dst_color_trc: int
    dst_color_primaries: int


def to_pixels(
    frame: VideoFrame,
    reformatter: VideoReformatter,
    stretch: Fraction = Fraction(1),
    smaller: Smaller | None = None,
) -> Pixels:
    """Converts a picture, transparency over black. `stretch` is the width of its pixels where they are not square.

    `smaller` says, of its upright size, to which size it is scaled on the way, by area: a tenth of the time that
    converting and scaling take one after the other. What is transparent is left as large as it is.
    The reformatter keeps swscale's tables between pictures (those of HDR take two seconds to build).
    """
    from av.video.reformatter import Interpolation

    parts = frame.format.components
    transparent = frame.format.has_palette or any(part.is_alpha for part in parts)
    turn, whole = _orientation(frame), upright_size(frame, stretch)
    size = whole if smaller is None or transparent else smaller(whole.width, whole.height)
    scaling = Interpolation.BILINEAR if size == whole else Interpolation.AREA
    stored = Size(size.height, size.width) if turn.turned else size
    converted = reformatter.reformat(
        frame,
        width=stored.width,
        height=stored.height,
        format="rgba" if transparent else "rgb24",
        src_colorspace=_matrix(frame),
        interpolation=scaling | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        **_to_sdr(frame),
    )
    pixels = np.asarray(converted.to_ndarray(), np.uint8)
    return turn.applied(_on_black(pixels) if transparent else pixels)


def upright_size(frame: VideoFrame, stretch: Fraction = Fraction(1)) -> Size:
    """As it is looked at, in square pixels."""
    width, height = round(frame.width * stretch), frame.height
    return Size(height, width) if _orientation(frame).turned else Size(width, height)


def _matrix(frame: VideoFrame) -> int | None:
    """BT.709 for an untagged picture larger than SD; None for what it says, which falls back to BT.601."""
    from av.video.reformatter import Colorspace

    high_definition = frame.width >= 1280 or frame.height > 576
    if frame.colorspace == UNSPECIFIED and high_definition and not frame.format.is_rgb:
        return Colorspace.ITU709
    return None


def _to_sdr(frame: VideoFrame) -> _ToSdr:
    """HDR is tone-mapped by swscale; other transfer curves are left as they are, as players do."""
    from av.video.reformatter import ColorPrimaries, ColorTrc

    if frame.color_trc not in PQ_AND_HLG:
        return {}
    return {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}


def _on_black(pixels: Pixels) -> Pixels:
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 127) // 255).astype(np.uint8)


class _Orientation(NamedTuple):
    """How a picture is turned: first across its diagonal, then left to right, then upside down."""

    turned: bool = False
    mirrored: bool = False
    flipped: bool = False

    def applied(self, pixels: Pixels) -> Pixels:
        if self.turned:
            pixels = pixels.transpose(1, 0, 2)
        if self.mirrored:
            pixels = pixels[:, ::-1]
        if self.flipped:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


QUARTERS = (
    _Orientation(),
    _Orientation(turned=True, flipped=True),
    _Orientation(mirrored=True, flipped=True),
    _Orientation(turned=True, mirrored=True),
)
"""Counter-clockwise."""


def _orientation(frame: VideoFrame) -> _Orientation:
    """By the display matrix, which sends (x, y) to (ax + cy, bx + dy)."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know the EXIF block of photographs, but the angle it does
        return QUARTERS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return _Orientation()
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5]
    turned = bool(abs(b) > abs(a))
    return _Orientation(turned, bool((c if turned else a) < 0), bool((b if turned else d) < 0))
