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

Cells = NDArray[np.float32]
Shift = tuple[int, int]

SAMPLES = 4
"""Pixels looked at along each side of a cell."""
BLOCK = 4
"""Cells along each side of the blocks that are looked for in the frame before."""
REACH = 3
"""How many cells a block may have moved on its own."""
WANDER = 0.05
"""What each of those cells adds to the share: at a cut, blocks find something alike, but in no common direction."""
OUTSIDE = 1e5
"""Grey level around the picture: nothing matches it."""


def _averaging(groups: int, each: int) -> Cells:
    return np.kron(np.eye(groups), np.full((1, each), 1 / each)).astype(np.float32)


TO_CELLS = _averaging(SIDE, SAMPLES)
TO_BLOCKS = _averaging(SIDE // BLOCK, BLOCK)
DISTANCE = (WANDER * np.hypot(*np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1])).astype(np.float32)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def thumbnail(pixels: Pixels) -> Cells:
    """The picture as 32 x 32 grey cells, averages over a sample of its pixels."""
    # At uneven distances, so that stripes as fine as an even grid do not show as light and dark.
    steps = np.arange(SIDE * SAMPLES)
    places = (steps + 0.618 * steps % 1) / (SIDE * SAMPLES)
    rows, columns = ((places * side).astype(int) for side in pixels.shape[:2])
    sample = pixels.take(rows, 0).take(columns, 1).astype(np.float32)
    return TO_CELLS @ (sample @ LUMA) @ TO_CELLS.T


def compare(before: Cells, after: Cells) -> Change:
    """What happened between two thumbnails.

    motion is the largest of three: how far the whole picture shifted; how far the rest would have to shift to change
    as much as it did (mean change over mean slope, so that things that move before a still camera count by their
    area); and the change of mean brightness (1 is black to white). Shifts are in frame widths, vertical ones in heights.

    unexplained is the mean, over blocks, of the part of a block's variance that its best match in the frame before
    leaves over, once brightness and contrast are made equal. Matches are looked for around a block's own place and
    around where the shift puts it, nearer ones first; blocks that the shift brought into view are not counted.

    stir is the largest change of one cell, in place.
    """
    stir = float(np.abs(after - before).max()) / 255
    candidates = {(0, 0), _strongest_shift(before, after)}
    shift = min(candidates, key=lambda shift: _mismatch(before, after, shift))
    old, new = _overlap(before, after, shift)
    luma = abs(float(new.mean() - old.mean())) / 255
    before, after = _relit(before, after, shift)
    motion = _motion(*_overlap(before, after, shift), shift) / SIDE
    return Change(max(motion, luma), _unexplained(before, after, shift), stir)


def _strongest_shift(before: Cells, after: Cells) -> Shift:
    """Phase correlation: the peak of the whitened cross-spectrum, in whole cells."""
    spectrum = np.fft.rfft2(after - after.mean()) * np.fft.rfft2(before - before.mean()).conj()
    peaks = np.fft.irfft2(spectrum / (np.abs(spectrum) + 1e-6), s=before.shape)
    row, column = divmod(int(peaks.argmax()), SIDE)
    half = SIDE // 2
    return (row + half) % SIDE - half, (column + half) % SIDE - half


def _overlap(before: Cells, after: Cells, shift: Shift) -> tuple[Cells, Cells]:
    """The parts of both pictures that show the same if `after` is `before` moved by `shift`."""
    old = tuple(slice(max(0, -s), SIDE - max(0, s)) for s in shift)
    new = tuple(slice(max(0, s), SIDE - max(0, -s)) for s in shift)
    return before[old], after[new]


def _relit(before: Cells, after: Cells, shift: Shift) -> tuple[Cells, Cells]:
    """Both around zero, with the old picture at the contrast of the new one."""
    old, new = _overlap(before, after, shift)
    gain = np.clip(new.std() / max(float(old.std()), 1.0), 0.5, 2.0)
    return (before - old.mean()) * gain, after - new.mean()


def _mismatch(before: Cells, after: Cells, shift: Shift) -> float:
    old, new = _overlap(*_relit(before, after, shift), shift)
    return float(np.abs(new - old).mean())


def _motion(old: Cells, new: Cells, shift: Shift) -> float:
    """In cells: the shift, made finer than a cell by least squares on slopes, or the change beside it."""
    slopes = np.stack([slope.ravel() for slope in np.gradient(new)])
    change = (new - old).ravel()
    finer = np.linalg.solve(slopes @ slopes.T + np.eye(2), -slopes @ change).clip(-1, 1)
    beside = np.abs(change + finer @ slopes).mean() / (np.abs(slopes).mean() + 1)
    return max(float(np.hypot(*(finer + shift))), float(beside))


def _unexplained(before: Cells, after: Cells, shift: Shift) -> float:
    windows = sliding_window_view(np.pad(before, SIDE, constant_values=OUTSIDE), (SIDE, SIDE))
    variance = TO_BLOCKS @ np.square(after) @ TO_BLOCKS.T
    # Grain, water and leaves never match: a fifth of the picture's variance, and 6 grey levels, count for nothing.
    scale = variance + 0.2 * variance.mean() + 32

    def shares(y: int, x: int) -> Cells:
        near = tuple(slice(SIDE - centre - REACH, SIDE - centre + REACH + 1) for centre in (y, x))
        errors = TO_BLOCKS @ np.square(windows[near] - after) @ TO_BLOCKS.T
        return (errors / scale + DISTANCE[..., None, None]).min((0, 1))

    best = shares(*shift)
    if shift != (0, 0):
        best = np.minimum(best, shares(0, 0))
    in_view = tuple(slice(-(-max(0, s) // BLOCK), (SIDE + min(0, s)) // BLOCK) for s in shift)
    return float(np.minimum(best, 1)[in_view].mean())
