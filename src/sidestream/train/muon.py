"""Muon: momentum made orthogonal, for weights that are matrices (Jordan 2024). AdamW keeps the rest.

On the small convolutional networks here it reaches in 300 steps what AdamW does not in 2000 (lab notes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch

MOMENTUM = 0.95
SLOPES = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration brings all singular values near one."""
ROUNDS = 5


class Muon:
    """Owns the momenta. Convolutions count as matrices with a row an output channel."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.weights = weights
        self.momenta = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    @torch.no_grad()
    def step(self, rate: float, names: Iterable[str]) -> None:
        """Weights of one shape go together."""
        shapes: defaultdict[torch.Size, list[str]] = defaultdict(list)
        for name in names:
            shapes[self.weights[name].flatten(1).shape].append(name)
        for shape, alike in shapes.items():
            moved: list[torch.Tensor] = []
            for name in alike:
                grad = self.weights[name].grad
                assert grad is not None
                moved.append(grad.lerp(self.momenta[name].lerp_(grad, 1 - MOMENTUM), MOMENTUM))
            turned = orthogonal(torch.stack([one.flatten(1) for one in moved]))
            size = -rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for name, change in zip(alike, turned, strict=True):
                self.weights[name].add_(change.view_as(self.weights[name]), alpha=size)


def orthogonal(matrices_NRC: torch.Tensor, precision: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """The nearest matrices with all singular values about one."""
    a, b, c = SLOPES
    tall = matrices_NRC.shape[1] > matrices_NRC.shape[2]
    x = matrices_NRC.mT if tall else matrices_NRC
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(precision)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices_NRC.dtype)
