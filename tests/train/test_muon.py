"""Muon: what it makes of momenta, and that it learns."""

from __future__ import annotations

import pytest
import torch

from sidestream.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 24, 10), (2, 10, 24)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_all_singular_values_come_near_one(shape: tuple[int, ...], precision: torch.dtype):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    turned = orthogonal(matrices, precision)
    assert (turned.shape, turned.dtype) == (matrices.shape, torch.float32)
    values = torch.linalg.svdvals(turned)
    assert 0.3 < float(values.min()) < float(values.max()) < 1.3
    assert torch.linalg.svdvals(matrices).max() > 3


def test_directions_are_kept():
    values = torch.diag(torch.tensor([5.0, 2.0, 1.0]))
    turned = orthogonal(values[None], torch.float32)[0]
    assert torch.allclose(turned, torch.diag(turned.diag()), atol=1e-5)
    assert bool((turned.diag() > 0.5).all())


def test_weights_of_one_shape_go_as_if_each_went_alone():
    generator = torch.Generator().manual_seed(2)
    weights = {name: torch.randn(12, 12, generator=generator) for name in "abc"}
    weights["b"] = torch.randn(12, 3, 2, 2, generator=generator)  # a matrix of the same shape
    grads = {name: torch.randn(w.shape, generator=generator) for name, w in weights.items()}
    alone = {name: weight.clone() for name, weight in weights.items()}
    for together in (weights, alone):
        for name, weight in together.items():
            weight.grad = grads[name]
    Muon(weights).step(0.1, weights)
    for name, weight in alone.items():
        Muon({name: weight}).step(0.1, [name])
    for name, weight in weights.items():
        assert torch.allclose(weight, alone[name], atol=2e-3)


def test_only_the_weights_named_move_and_tall_ones_move_further():
    still, tall = torch.zeros(10, 10), torch.zeros(40, 10)
    tall.grad = torch.randn(40, 10, generator=torch.Generator().manual_seed(3))
    Muon({"still": still, "tall": tall}).step(0.1, ["tall"])
    assert not still.any()
    longest = float(torch.linalg.svdvals(tall).max())
    assert 0.2 * 0.6 < longest < 0.2 * 1.3  # twice the rate: the root of 40 / 10


def test_it_learns_a_matrix():
    generator = torch.Generator().manual_seed(4)
    wanted = torch.linalg.qr(torch.randn(16, 16, generator=generator)).Q
    weight = torch.zeros(16, 16)
    muon = Muon({"w": weight})
    for step in range(150):
        weight.grad = weight - wanted
        muon.step(0.1 * (1 - step / 150), ["w"])
    assert float((weight - wanted).norm() / wanted.norm()) < 0.1
