"""What is right about a picture besides its pixels: edges, and the strength of strokes."""

from __future__ import annotations

import pytest
import torch

from sidestream.train.losses import dullness, edge_loss, picture_loss, texture_loss


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


def test_dull_is_what_is_blurred_and_not_what_is_sharper():
    wanted = stripes()
    assert float(dullness(wanted, wanted)) == float(dullness(1.5 * wanted, wanted)) == 0
    assert float(dullness(0.5 * wanted, wanted)) > 0


def test_strokes_count_where_they_are_coarsely():
    left, right = torch.zeros(2, 1, 3, 32, 32)
    left[..., :16], right[..., 16:] = stripes(side=32)[..., :16], stripes(side=32)[..., 16:]
    assert float(texture_loss(left, right)) > float(texture_loss(left, left)) == 0


def test_corners_of_strokes_count_besides_their_sides():
    across = stripes()
    checks = (across + across.mT) % 2
    lines = (across + stripes(1).mT) / 2
    assert float(texture_loss(checks, checks)) == 0
    assert float(texture_loss(across, checks)) > float(texture_loss(lines, across)) > 0


def test_a_picture_is_as_wrong_as_its_colours_edges_and_strokes():
    given, wanted = stripes(), stripes(1)
    plain, rough = (float(picture_loss(given, wanted, texture)) for texture in (0.0, 2.0))
    colours = float((given - wanted).abs().mean())
    assert plain == pytest.approx(colours + 0.5 * float(edge_loss(given, wanted)))
    assert rough == pytest.approx(plain + 2 * float(texture_loss(given, wanted)))


@pytest.mark.parametrize(("height", "width"), [(33, 47), (16, 24)])
def test_any_size_has_texture(height: int, width: int):
    pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    assert float(texture_loss(pictures, torch.zeros_like(pictures))) > 0.1
