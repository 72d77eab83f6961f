"""The strip of black and white cells below a picture that says when it was taken. Reads and paints; knows no clock.

The page adds a strip to every picture it sends. It never reaches the model: the server reads it, takes it off, and adds
it again to the picture made from that frame, so that the page can tell how long all of it took, both codecs included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sidestream.types import Pixels

TIME_BITS, CHECK_BITS = 20, 12
CELLS = TIME_BITS + CHECK_BITS
SHARE = 17
"""A strip is the lowest of so many equal parts of a stamped picture."""
MODULUS = 1 << TIME_BITS
"""Milliseconds after which times begin again."""


def check_bits(value: int) -> int:
    """Knuth's multiplicative hash, which a page computes in one line as well."""
    return (value * 2654435761 & 0xFFFFFFFF) >> (32 - CHECK_BITS)


def picture_rows(height: int) -> int:
    """Rows above the strip in a stamped picture of this height."""
    return height * (SHARE - 1) // SHARE


def read(luma_HW: NDArray[np.uint8]) -> int | None:
    """The strip's value, or None where what is there is no strip, or one too much damaged."""
    height, width = luma_HW.shape
    strip = luma_HW[picture_rows(height) :]
    if strip.shape[0] < 2 or width < 2 * CELLS:
        return None
    rows = strip[strip.shape[0] // 4 : max(strip.shape[0] * 3 // 4, 1) + 1]
    centres = ((np.arange(CELLS) + 0.5) * width / CELLS).astype(int)
    levels = (rows[:, centres].mean(0) + rows[:, centres - 1].mean(0)) / 2
    bits = "".join("1" if level > 127 else "0" for level in levels)
    value, check = int(bits[:TIME_BITS], 2), int(bits[TIME_BITS:], 2)
    return value if check == check_bits(value) else None


def add(pixels: Pixels, value: int | None) -> Pixels:
    """The picture with a strip below it; a black one where there is no value."""
    height, width = pixels.shape[:2]
    rows = max(2, height // (SHARE - 1) // 2 * 2)
    word = 0 if value is None else value << CHECK_BITS | check_bits(value)
    bits = np.array([word >> (CELLS - 1 - n) & 1 for n in range(CELLS)], np.uint8) * 255
    line = bits[np.arange(width) * CELLS // width]
    strip = np.broadcast_to(line[None, :, None], (rows, width, 3))
    return np.concatenate([pixels, strip])
