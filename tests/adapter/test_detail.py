"""What the detail adapter carries on, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from sidestream.adapter.detail import KIND, TemporalDetail, load, save
from sidestream.errors import ModelError
from sidestream.types import Warp

SIDE = 64


def way(x: float = 0.0, *, hidden: bool = False) -> Warp:
    backward = torch.zeros(1, SIDE, SIDE, 2)
    backward[..., 0] = x
    return Warp(backward, torch.full((1, 1, SIDE, SIDE), hidden))


def strokes(seed: int) -> torch.Tensor:
    """Fine texture on grey."""
    noise = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) - 0.5
    return noise - F.avg_pool2d(noise, 15, stride=1, padding=7)


@pytest.fixture
def detail() -> TemporalDetail:
    """Trusts nearly everything, and moves by whole pixels exactly."""
    made = TemporalDetail().requires_grad_(False)
    made.trust.bias.fill_(20.0)
    return made


def apart(first: torch.Tensor, second: torch.Tensor) -> float:
    inner = slice(12, -12)
    return float((first - second)[..., inner, inner].abs().mean())


def test_strokes_are_those_of_the_picture_before_where_they_went(detail):
    before, fresh = strokes(1), strokes(2)
    given = detail(fresh, before, way(-3))
    moved = before.roll(3, dims=3)
    assert apart(given, moved) < 0.25 * apart(fresh, moved)


def test_light_is_that_of_the_fresh_picture(detail):
    before, fresh = strokes(1), strokes(1) + 0.4
    assert apart(detail(fresh, before, way()), fresh) < 0.02


def test_what_came_into_view_is_fresh(detail):
    fresh = strokes(2)
    assert torch.equal(detail(fresh, strokes(1), way(hidden=True)), fresh)


def test_a_picture_beside_what_came_into_view_takes_nothing_from_it(detail):
    there = way()
    there.occluded_B1HW[..., SIDE // 2 :] = True
    before = strokes(1)
    before[..., SIDE // 2 :] = 1.0
    left = slice(8, SIDE // 2 - 2)
    given, clean = detail(strokes(1), before, there), strokes(1)
    assert float((given - clean)[..., left].abs().max()) < 0.05


def test_strength_goes_from_nothing_to_all(detail):
    before, fresh = strokes(1), strokes(2)
    none, half, whole = (detail(fresh, before, way(), share) for share in (0.0, 0.5, 1.0))
    assert torch.equal(none, fresh)
    assert torch.allclose(half, (fresh + whole) / 2, atol=1e-6)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    made = TemporalDetail()
    torch.nn.init.normal_(made.trust.weight)
    save(made, tmp_path / "adapter.safetensors", {"step": 3})
    loaded = load(tmp_path / "adapter.safetensors")
    assert all(
        torch.equal(one, loaded.state_dict()[name]) for name, one in made.state_dict().items()
    )
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("crisp"), r"lacks 1 of \d+ tensors, the first crisp"),
        (lambda tensors: tensors.update(crisp=torch.zeros(2)), r"has crisp of shape \(2,\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, change, message):
    path = tmp_path / "adapter.safetensors"
    save(TemporalDetail(), path, {})
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"kind": KIND})
    with pytest.raises(ModelError, match=message):
        load(path)


def test_what_is_handed_on_for_ever_does_not_grow(detail):
    """Half a pixel a frame, moved as crisply as can be: what one move sharpens, sixty would blow up."""
    detail.crisp.fill_(1.2)
    fresh = 0.1 * strokes(2)
    fresh[..., : SIDE // 2] = 0.2
    before = fresh + 0.1 * strokes(1)
    for _ in range(60):
        before = detail(fresh, before, way(-0.5)).clamp(-1, 1)
    assert float((before - fresh)[..., : SIDE // 2 - 12].abs().max()) < 1e-3
    assert float(before.abs().max()) <= float(fresh.abs().max()) + 1e-6
