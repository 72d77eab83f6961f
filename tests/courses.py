"""Courses of training at sizes that take seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from sidestream.config import Size, TrainConfig
from sidestream.train import autoencoder, course, pictures, steadying
from sidestream.train.steadying import SteadyCourse

CPU = torch.device("cpu")


@contextmanager
def small() -> Iterator[None]:
    """All sizes, and no photographs, which come with a library that may not be here."""
    sizes = {
        "SQUARE": Size(64, 64),
        "WIDE": Size(96, 64),
        "SMALL": Size(32, 32),
        "SIZES": (Size(64, 64), Size(32, 64)),
        "VISION_SIZE": 32,
        "PHRASES": 40,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(course, name, value)
        patch.setattr(course, "photographs", lambda: ())
        patch.setattr(autoencoder, "CROP", 32)
        patch.setattr(pictures, "PIECE", 4)
        patch.setattr(steadying, "SQUARE", sizes["SQUARE"])
        patch.setattr(steadying, "PASSAGE", 3)
        course.photos.cache_clear()
        yield
        course.photos.cache_clear()


def course_in(folder: Path, stop: Callable[[], bool] = lambda: False, told=None) -> SteadyCourse:
    config = TrainConfig(
        folder=folder,
        pictures=8,
        clips=2,
        autoencoder_steps=2,
        steps=4,
        adapter_steps=2,
        lllite_steps=2,
        workers=1,
        dtype="float32",
    )
    return SteadyCourse(config, told or (lambda *what: None), stop)


def stopped_after(asked: int) -> Callable[[], bool]:
    left = iter(range(asked))
    return lambda: next(left, None) is None


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
