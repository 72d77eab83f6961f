"""What many tests share: nano loaded once, and small pictures that move."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings

from sidestream import Stylizer
from sidestream.types import Pixels

# A first call may import a library: time limits a test belong to pytest, and a run must be the same twice.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def nano() -> Iterator[Stylizer]:
    with Stylizer.load("nano") as stylizer:
        yield stylizer


@pytest.fixture
def video() -> list[Pixels]:
    """Twelve frames, 96x64, of a texture that slides to the right."""
    return sliding(12)


def sliding(count: int, seed: int = 0, width: int = 96, height: int = 64) -> list[Pixels]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8, width // 4, 3)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + width]) for n in range(count)]
