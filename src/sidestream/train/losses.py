"""What has to be right: latents, colours, edges, strokes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CELL = 8
"""Side of the squares whose strokes are counted together; they overlap by half, so that no grid of theirs shows."""


def latent_loss(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(given_BCHW, wanted_BCHW) + 0.5 * F.l1_loss(given_BCHW, wanted_BCHW)


def picture_loss(
    given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor, texture: float
) -> torch.Tensor:
    """Colours where they should be, edges half as much, and strokes as strong as they should be."""
    return (
        F.l1_loss(given_BCHW, wanted_BCHW)
        + 0.5 * edge_loss(given_BCHW, wanted_BCHW)
        + texture * texture_loss(given_BCHW, wanted_BCHW)
    )


def edge_loss(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """How far differences of neighbouring pixels are off, along both axes."""
    error = given_BCHW - wanted_BCHW
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def texture_loss(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """How far the strength of strokes is off, square by square, wherever in it they are.

    An error of pixels is least for the mean of all that a stroke might be, which is blur; this one is not.
    """
    pairs = zip(_strengths(given_BCHW), _strengths(wanted_BCHW), strict=True)
    return torch.stack([F.l1_loss(given, wanted) for given, wanted in pairs]).sum()


def dullness(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """The same where strokes are weaker than they should be; that they are stronger costs nothing."""
    pairs = zip(_strengths(given_BCHW), _strengths(wanted_BCHW), strict=True)
    return torch.stack([F.relu(wanted - given).mean() for given, wanted in pairs]).sum()


def _strengths(picture_BCHW: torch.Tensor) -> list[torch.Tensor]:
    """Of strokes across, down, and of their corners, fine and a pixel coarser."""
    across, down = picture_BCHW.diff(dim=3), picture_BCHW.diff(dim=2)
    wide = picture_BCHW[..., 2:] - picture_BCHW[..., :-2]
    corners = (across.diff(dim=2), wide[..., 2:, :] - wide[..., :-2, :])
    return [
        F.avg_pool2d(step.abs(), CELL, CELL // 2, ceil_mode=True)
        for step in (across, down, *corners)
    ]
