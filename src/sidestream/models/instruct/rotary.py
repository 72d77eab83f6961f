"""Rotary positions from tables made once: pairs of channels of a head turn by an angle that grows with position."""

from __future__ import annotations

import torch

Rotation = tuple[torch.Tensor, torch.Tensor]
"""Cosines and signed sines, N x width of a head."""


def frequencies(width: int, theta: float) -> torch.Tensor:
    """Angle per step of position for each of width / 2 channel pairs."""
    return 1 / theta ** (torch.arange(0, width, 2).float() / width)


def rotation(angles_ND: torch.Tensor) -> Rotation:
    """`angles_ND` holds one angle a pair; the two channels of a pair lie half a head apart."""
    cos, sin = angles_ND.cos(), angles_ND.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotate(heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turns B x heads x N x width, in the precision of the tables."""
    cos, sin = rotation
    return (heads * cos + heads.roll(heads.shape[-1] // 2, -1) * sin).to(heads.dtype)
