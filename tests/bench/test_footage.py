"""Frames to measure on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sidestream import scene
from sidestream.bench.footage import MOMENTS, footage
from sidestream.config import Schedule, Size


def test_frames_move_without_end_and_without_a_cut():
    threshold = Schedule().cut_threshold
    assert threshold is not None
    frames = list(footage(Size(96, 64), 3 * MOMENTS))
    assert len(frames) == 3 * MOMENTS
    for before, after in pairwise(frames):
        assert np.abs(before.astype(int) - after).mean() > 0
        change = scene.compare(scene.thumbnail(before), scene.thumbnail(after))
        assert change.unexplained < threshold


def test_they_are_drawn_once():
    first, again = (next(footage(Size(64, 32), 1)) for _ in range(2))
    assert first is again
