"""What is right about a picture besides its pixels: edges, and the strength of strokes."""

from __future__ import annotations

import pytest
import torch

from sidestream.train.losses import edge_loss, texture_loss


def stripes(shift: int = 0, side: int = 32) -> torch.Tensor:
    """Strokes of two pixels, every four."""
    columns = ((torch.arange(side) + shift) // 2 % 2).float()
    return columns.expand(1, 3, side, side)


def test_edges_that_are_off_cost_and_a_wrong_level_does_not():
    flat = torch.zeros(1, 3, 4, 4)
    assert float(edge_loss(flat + 1, flat)) == 0
    step = flat.clone()
    step[..., 2:] = 1
    assert float(edge_loss(step, flat)) == pytest.approx(1 / 3)


def test_strokes_may_lie_elsewhere_and_must_not_be_blurred():
    given, shifted = stripes(), stripes(2)
    blurred = torch.full_like(given, 0.5)
    assert float(texture_loss(given, given)) == 0
    assert float(texture_loss(shifted, given)) < 0.2 * float(texture_loss(blurred, given))
    assert float(edge_loss(shifted, given)) > float(edge_loss(blurred, given))


def test_strokes_count_where_they_are_coarsely():
    left, right = torch.zeros(2, 1, 3, 32, 32)
    left[..., :16], right[..., 16:] = stripes(side=32)[..., :16], stripes(side=32)[..., 16:]
    assert float(texture_loss(left, right)) > float(texture_loss(left, left)) == 0


@pytest.mark.parametrize(("height", "width"), [(33, 47), (16, 24)])
def test_any_size_has_texture(height: int, width: int):
    pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    assert float(texture_loss(pictures, torch.zeros_like(pictures))) > 0.1
