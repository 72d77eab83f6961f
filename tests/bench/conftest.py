"""A bench with lively nano on it, at 64x64."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from sidestream import Stylizer
from sidestream.bench.bench import Bench
from sidestream.config import ModelConfig, Size, StreamConfig

SIZE = Size(64, 64)


@pytest.fixture
def bench(nano: Stylizer) -> Bench:
    def load(name: str, config: ModelConfig):
        return nullcontext(nano)

    return Bench(load, stream=StreamConfig(size=SIZE, batch=2), frames=4, rounds=1, quick=True)
