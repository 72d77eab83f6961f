"""A model whose weights may be trained, and shelves of small pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import lively
from sidestream.models.components import Components
from sidestream.models.dreamlite import DreamLite
from sidestream.models.instruct.template import Template
from sidestream.train.lessons import SOURCE, Shelves
from sidestream.types import Pixels


@pytest.fixture(scope="module")
def parts() -> Components:
    return lively.components().to(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model(parts: Components) -> DreamLite:
    return DreamLite(parts, Template.of(parts.tokenizer), vision_size=32)


@pytest.fixture(scope="module")
def shelves() -> Callable[[int, int], Shelves]:
    """Pictures of a size and their negatives."""

    def made(height: int, width: int) -> Shelves:
        pictures = np.random.default_rng(height).integers(
            256, size=(3, height, width, 3), dtype=np.uint8
        )
        return {SOURCE: pictures, "negative": negative(pictures)}

    return made


def negative(picture: Pixels) -> Pixels:
    return 255 - picture


@pytest.fixture
def painters() -> dict[str, Callable[[Pixels], Pixels]]:
    return {"negative": negative, "identity": np.copy}


@pytest.fixture
def instruct() -> Callable[[str, np.random.Generator], str]:
    return lambda style, random: f"make it {style}{' please' * int(random.integers(12))}"
