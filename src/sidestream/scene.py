"""How much a frame differs from the one before: motion, and the share that motion cannot explain (a cut).

Works on small grey pictures, in numpy alone. What follows from the numbers is decided in schedule.py.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sidestream.types import Change, Pixels

SIDE = 32
"""Cells along each side of a thumbnail, whatever the picture's shape."""

Thumbnail = NDArray[np.float32]

_SAMPLES = 4
"""Pixels looked at along each side of a cell."""
_BLOCK = 4
"""Cells along each side of the blocks that are searched for."""
_REACH = 3
"""Cells that a block may have moved beside the picture's own shift."""
_NOISE = 128.0
"""Variance in a block, in squared grey levels, that is worth nothing: grain, water, grass in the wind."""
_FAR = np.float32(1e4)
"""Grey level outside the picture: matches nothing."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _averages(count: int, each: int) -> NDArray[np.float32]:
    return np.kron(np.eye(count), np.full((1, each), 1 / each)).astype(np.float32)


_CELLS = _averages(SIDE, _SAMPLES)
_BLOCKS = _averages(SIDE // _BLOCK, _BLOCK)


def thumbnail(pixels: Pixels) -> Thumbnail:
    """The picture in 32 x 32 grey cells, averaged over a sample of its pixels."""
    count = SIDE * _SAMPLES
    rows, columns = ((np.arange(count) * 2 + 1) * side // (2 * count) for side in pixels.shape[:2])
    sample = pixels.take(rows, 0).take(columns, 1).astype(np.float32)
    return _CELLS @ (sample @ _LUMA) @ _CELLS.T


def compare(before: Thumbnail, after: Thumbnail) -> Change:
    """Measures what happened between two thumbnails.

    Motion is in frame widths (heights for what moves vertically), the largest of three: the shift of the whole
    picture, the change that is left after it expressed as a shift (mean change over mean slope, so that things
    moving before a still camera count by their area), and the change of brightness (1 is black to white).

    Unexplained is the mean over blocks of the variance that the best match near the block's old place leaves over,
    after the brightness and contrast of the picture are made equal. Blocks that the shift brought in are not counted.
    """
    shift = _shift(before, after)
    old, new = _overlap(before, after, shift)
    luma = abs(float(new.mean() - old.mean())) / 255
    old, new = _same_light(old, new, old), new - new.mean()
    distance = float(np.hypot(*(np.array(shift) + _remainder(old, new)))) / SIDE
    slope = np.abs(np.diff(new, axis=0)).mean() + np.abs(np.diff(new, axis=1)).mean() + 1
    local = float(np.abs(new - old).mean() / slope) / SIDE
    return Change(max(distance, local, luma), _unexplained(before, after, shift))
