"""What many tests share: nano loaded once, and small pictures that move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

import lively
from pictures import sliding
from sidestream import Stylizer, disk
from sidestream.types import Pixels

# A first call may import a library: time limits a test belong to pytest, and a run must be the same twice.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs is kept for the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(disk.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def nano() -> Iterator[Stylizer]:
    """Its architecture with lively weights: what reacts to nothing would pass any test of isolation."""
    with lively.load() as stylizer:
        yield stylizer


@pytest.fixture
def video() -> list[Pixels]:
    """Twelve frames, 96x64, of a texture that slides to the right."""
    return sliding(12)
