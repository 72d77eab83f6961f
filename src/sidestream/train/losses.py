"""What of a picture has to be right besides its pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CELL = 8
"""Side of the squares whose strokes are counted together."""


def edge_loss(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """How far differences of neighbouring pixels are off, along both axes."""
    error = given_BCHW - wanted_BCHW
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def texture_loss(given_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """How far the strength of strokes is off, square by square, wherever in it they are.

    An error of pixels is least for the mean of all that a stroke might be, which is blur; this one is not.
    """
    strengths = [
        F.avg_pool2d(F.pad(step.abs(), (0, -step.shape[3] % CELL, 0, -step.shape[2] % CELL)), CELL)
        for picture in (given_BCHW, wanted_BCHW)
        for step in (picture.diff(dim=2), picture.diff(dim=3))
    ]
    return sum(
        (
            F.l1_loss(given, wanted)
            for given, wanted in zip(strengths[:2], strengths[2:], strict=True)
        ),
        torch.zeros(()),
    )
