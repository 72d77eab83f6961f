"""Group norm of what a resnet adds its time to, in two ways that give the same."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn


class Normed(Protocol):
    def __call__(
        self, norm: nn.GroupNorm, hidden_BCHW: torch.Tensor, time_BC: torch.Tensor | None = None, /
    ) -> torch.Tensor: ...


def as_it_is(
    norm: nn.GroupNorm, hidden_BCHW: torch.Tensor, time_BC: torch.Tensor | None = None
) -> torch.Tensor:
    """By the module; time is added in place."""
    if time_BC is not None:
        hidden_BCHW = hidden_BCHW.add_(time_BC[:, :, None, None])
    return norm(hidden_BCHW)


def by_sums(
    norm: nn.GroupNorm, hidden_BCHW: torch.Tensor, time_BC: torch.Tensor | None = None
) -> torch.Tensor:
    """From the sums of each channel, for OpenVINO, which lays the whole picture out anew for the module and back after it.

    For the same reason time is never added to the picture, but to what is known of each channel.
    """
    batch, _, height, width = hidden_BCHW.shape
    channels, groups = norm.num_channels, norm.num_groups
    shape = (batch, groups, channels // groups)
    mean = hidden_BCHW.mean((2, 3)).view(shape)
    square = torch.linalg.vector_norm(hidden_BCHW, dim=(2, 3)).view(shape).square()
    square = square / (height * width)
    added = torch.zeros(()) if time_BC is None else time_BC.view(shape)
    if time_BC is not None:
        square, mean = square + added * (2 * mean + added), mean + added
    middle = mean.mean(2, keepdim=True)
    variance = (square.mean(2, keepdim=True) - middle.square()).clamp_min(0)
    scale = norm.weight.view(1, *shape[1:]) * torch.rsqrt(variance + norm.eps)
    shift = norm.bias.view(1, *shape[1:]) + (added - middle) * scale
    whole = (batch, channels, 1, 1)
    return hidden_BCHW * scale.reshape(whole) + shift.reshape(whole)
