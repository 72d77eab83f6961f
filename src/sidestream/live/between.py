"""Pictures between two restyled ones, for the eye alone: a dissolve. When they are shown is decided elsewhere."""

from __future__ import annotations

import numpy as np

from sidestream.config import Schedule
from sidestream.live.studio import Shown
from sidestream.scene import compare, thumbnail
from sidestream.types import Pixels

LONGEST = 0.5
"""Seconds between two pictures beyond which the first is held: a dissolve that slow would show ghosts."""


class Dissolve:
    """Remembers whether the pictures that it was asked about last belong to one scene."""

    def __init__(self) -> None:
        self._pair: tuple[Pixels, Pixels] | None = None
        self._alike = False

    def joins(self, earlier: Shown, later: Shown) -> bool:
        """Whether there is anything between them: both restyled, soon after each other, and no cut."""
        near = 0 < later.stamp - earlier.stamp <= LONGEST
        if not near or earlier.origin != "restyled" or later.origin != "restyled":
            return False
        pair = earlier.pixels, later.pixels
        if self._pair is None or any(a is not b for a, b in zip(self._pair, pair, strict=True)):
            self._pair, self._alike = pair, _of_one_scene(*pair)
        return self._alike


def mixed(earlier: Pixels, later: Pixels, share: float) -> Pixels:
    """This share of the later one."""
    import cv2

    return np.asarray(cv2.addWeighted(earlier, 1 - share, later, share, 0.0), np.uint8)


def _of_one_scene(earlier: Pixels, later: Pixels) -> bool:
    threshold = Schedule().cut_threshold
    if earlier.shape != later.shape or threshold is None:
        return False
    return compare(thumbnail(earlier), thumbnail(later)).unexplained < threshold
