"""Small pictures that move, for tests."""

from __future__ import annotations

import numpy as np

from sidestream.types import Pixels


def sliding(count: int, seed: int = 0, width: int = 96, height: int = 64) -> list[Pixels]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8, width // 4, 3)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + width]) for n in range(count)]
