"""Small pictures that move, for tests."""

from __future__ import annotations

import numpy as np

from sidestream.types import Pixels


def sliding(count: int, seed: int = 0, width: int = 96, height: int = 64) -> list[Pixels]:
    random = np.random.default_rng(seed)
    blocks = max(width // 4, (width + 2 * count) // 8 + 1)
    coarse = random.integers(0, 256, (height // 8, blocks, 3)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + width]) for n in range(count)]
