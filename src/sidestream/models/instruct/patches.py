"""Pictures as the rows of numbers that the vision tower reads, computed where the pictures are."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def patches(
    pictures_BCHW: torch.Tensor, *, size: int, patch: int, merge: int, times: int
) -> torch.Tensor:
    """Stretches pictures in [-1, 1] to a square and cuts it up: B x P x (C * times * patch * patch).

    Neighbours that the tower will merge follow each other; a still picture is repeated along time.
    """
    side = size // (patch * merge)
    square = _to_square(pictures_BCHW.float(), size)
    tiles = square.unflatten(3, (side, merge, patch)).unflatten(2, (side, merge, patch))
    #       B C rows merge patch columns merge patch -> B rows columns merge merge C patch patch
    rows = tiles.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
    return rows.expand(*[-1] * 6, times, -1, -1).flatten(5).flatten(1, 4)


def _to_square(pictures_BCHW: torch.Tensor, size: int) -> torch.Tensor:
    """What PIL's bilinear resize gives for 8-bit pictures: first the width, then the height, rounded after each."""
    height, width = pictures_BCHW.shape[-2:]
    if height == width == size:
        return pictures_BCHW
    levels = (pictures_BCHW * 127.5 + 127.5).round()
    for shape in (height, size), (size, size):
        resized = F.interpolate(levels, shape, mode="bilinear", antialias=True)
        levels = (resized + 0.5).floor()  # halves go up; Tensor.round would send them to even
    return levels / 127.5 - 1
