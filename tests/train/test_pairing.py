"""Noise paired with pictures."""

from __future__ import annotations

import sys
from itertools import permutations

import pytest
import torch

from sidestream.errors import ConfigError
from sidestream.train.pairing import least_distance


@pytest.mark.parametrize("seed", range(5))
def test_all_distances_together_are_least(seed: int):
    generator = torch.Generator().manual_seed(seed)
    data, noise = torch.randn(2, 4, 3, 2, 2, generator=generator).unbind()

    def total(order: tuple[int, ...]) -> float:
        return float((data - noise[list(order)]).flatten(1).norm(dim=1).sum())

    found = tuple(least_distance(data, noise).tolist())
    assert sorted(found) == [0, 1, 2, 3]
    assert total(found) == pytest.approx(min(map(total, permutations(range(4)))))


def test_a_shuffle_is_undone():
    data = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(9))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(9))
    assert torch.equal(data[order][least_distance(data, data[order])], data)


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ConfigError, match=r"scipy.*pip install 'sidestream\[train\]'"):
        least_distance(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
