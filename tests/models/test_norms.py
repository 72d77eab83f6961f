"""Two ways to the same norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sidestream.models.norms import as_it_is, by_sums


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("channels", [64, 192])
def test_both_ways_give_the_same(channels: int, timed: bool):
    torch.manual_seed(0)
    norm = nn.GroupNorm(16, channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    hidden = torch.randn(2, channels, 5, 7) * torch.rand(2, channels, 1, 1) * 30 + 2
    time = (torch.randn(2, channels) * 3,) if timed else ()
    with torch.inference_mode():
        found = by_sums(norm, hidden.clone(), *time)
        expected = as_it_is(norm, hidden.clone(), *time)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_picture_of_one_value_is_no_number_lost():
    norm = nn.GroupNorm(2, 4)
    with torch.inference_mode():
        assert by_sums(norm, torch.full((1, 4, 8, 8), 1000.0)).isfinite().all()
