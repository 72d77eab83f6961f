"""Convolutions folded into one give the same pictures, borders included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sidestream.models.folding import ConvPair, DoublingConv, folded


def conv(channels_in, channels_out, *, stride=1, bias=True):
    return nn.Conv2d(
        channels_in, channels_out, 3, padding=1, stride=stride, bias=bias
    ).requires_grad_(False)


def doubling():
    return nn.Upsample(scale_factor=2.0, mode="nearest")


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_doubling_and_convolving_is_one_transposed_convolution(size, bias):
    layer, small = conv(3, 5, bias=bias), torch.randn(2, 3, *size)
    expected = layer(doubling()(small))
    assert (DoublingConv(layer)(small) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (10, 4)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("doubled", "stride"), [(True, 1), (False, 1), (False, 2)])
def test_two_convolutions_are_one_up_to_the_very_border(size, bias, doubled, stride):
    first, second = conv(3, 8, bias=bias), conv(8, 4, stride=stride)
    picture = torch.randn(2, 3, *size)
    expected = second(first(doubling()(picture) if doubled else picture))
    made = ConvPair(first, second, doubled=doubled)(picture)
    assert (made - expected).abs().max() < 1e-5


def test_only_what_has_nothing_between_is_folded_and_only_where_it_pays():
    layers = [
        conv(8, 8),
        nn.ReLU(),
        doubling(),
        conv(8, 8),
        nn.ReLU(),
        conv(8, 8),
        conv(8, 8),
        doubling(),
        conv(8, 8),
        conv(8, 3),
    ]
    kinds = [type(layer).__name__ for layer in folded(layers)]
    assert kinds == ["Conv2d", "ReLU", "DoublingConv", "ReLU", "Conv2d", "Conv2d", "ConvPair"]


def test_a_doubling_at_the_very_end_stays():
    assert [type(layer) for layer in folded([conv(3, 3), doubling()])] == [nn.Conv2d, nn.Upsample]
