"""Teaches self-attention where to look: a place in the picture at the same place in the reference beside it.

The denoiser sees [latent | reference] side by side and starts from noise, so all that the picture will show must come
across from the right half, through self-attention, which has no positions but those that convolutions bring in from the
border. Left to itself it finds the way late. Told which token is whose counterpart, it does so within minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.config import Size


class Guidance:
    """Listens to the first head of some self-attentions. `cross_entropy` speaks of the forward before."""

    def __init__(self, unet: nn.Module, blocks: Sequence[str], stride: int) -> None:
        """`stride`: pixels a token of these blocks has on each side."""
        self._attentions: list[Any] = [
            module
            for name, module in unet.named_modules()
            if name.endswith("attn1") and name.startswith(tuple(blocks))
        ]
        self._stride = stride
        self._heard: dict[nn.Module, torch.Tensor] = {}
        for attention in self._attentions:
            for projection in (attention.to_q, attention.to_k):
                projection.register_forward_hook(self._hear)

    def _hear(self, module: nn.Module, given: object, result: torch.Tensor) -> None:
        self._heard[module] = result

    def cross_entropy(self, size: Size) -> torch.Tensor:
        """How far attention is from resting on the counterpart, in nats."""
        wanted = counterparts(size.height // self._stride, size.width // self._stride)
        left = wanted - size.width // self._stride
        losses = [
            F.cross_entropy(self._scores(attention, left).flatten(0, 1), wanted.repeat(batch))
            for attention in self._attentions
            for batch in (len(self._heard[attention.to_k]),)
        ]
        return torch.stack(losses).mean()

    def _scores(self, attention: Any, left: torch.Tensor) -> torch.Tensor:
        key = _normed(attention.norm_k, self._heard[attention.to_k])
        width = key.shape[-1]
        query = _normed(attention.norm_q, self._heard[attention.to_q][:, left, :width])
        return (query @ key.mT).float() / width**0.5


def counterparts(rows: int, columns: int) -> torch.Tensor:
    """For every token of the left half, row by row, the index of its counterpart in the right half."""
    places = torch.arange(rows * 2 * columns).view(rows, 2 * columns)
    return places[:, columns:].flatten()


def _normed(norm: Any, hidden: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(hidden, norm.weight.shape, norm.weight, norm.eps)
