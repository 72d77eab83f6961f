"""What this machine can do at best: how fast it multiplies matrices and how fast it moves memory, both measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

SECONDS = 0.4
"""How long each is tried; the best counts."""
LEAST_TRIES = 3


@dataclass(frozen=True)
class Machine:
    """In one number format."""

    matrix_flops: float
    """Floating-point operations a second, two for a multiplication and its addition."""
    bandwidth: float
    """Bytes a second, read and written, of a copy too large for any cache."""

    def bound_seconds(self, flops: float, moved: float) -> float:
        """What work takes at least: as long as its arithmetic alone or its memory alone, whichever is longer."""
        return max(flops / self.matrix_flops, moved / self.bandwidth)


def measured(device: torch.device, dtype: torch.dtype) -> Machine:
    side, mebibytes = (1024, 256) if device.type == "cpu" else (8192, 2048)
    return Machine(matrix_flops(device, dtype, side), bandwidth(device, mebibytes << 20))


def matrix_flops(device: torch.device, dtype: torch.dtype, side: int) -> float:
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    return 2 * side**3 / best_seconds(lambda: torch.matmul(one, other, out=out), device)


def bandwidth(device: torch.device, size: int) -> float:
    """`size` bytes are read, and as many written."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / best_seconds(lambda: target.copy_(source), device)


def best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of many tries, the first not counted."""
    work()
    settle(device)
    tries: list[float] = []
    while len(tries) < LEAST_TRIES or sum(tries) < SECONDS:
        start = time.perf_counter()
        work()
        settle(device)
        tries.append(time.perf_counter() - start)
    return min(tries)


def settle(device: torch.device) -> None:
    """Waits until the device has done everything that was asked of it."""
    if device.type == "cuda":  # pragma: no cover - cuda
        torch.cuda.synchronize(device)
