"""Convolutions with nothing between them, as one operation: the same sums, with less work and no large picture between."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

FIRST, LAST = 0, -1
MEETS_2_3_5 = torch.tensor(
    [
        [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]],
    ]
)
"""Along one axis: for each of the two places of a pixel, which of its three neighbours (before, itself, after) meets
which of five weights."""


class DoublingConv:
    """Nearest-neighbour doubling, then a 3x3 convolution: the same sum as one transposed convolution.

    A doubled picture holds every pixel four times, so that of nine products a pixel only four differ. Adding
    up the weights that meet the same pixel gives a 4x4 kernel at stride 2: less than half of the work, and
    the doubled picture is never written.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        assert conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.stride == (1, 1)
        self.conv, self._summed = conv, _summed(conv.weight.detach())

    @property
    def weight(self) -> torch.Tensor:
        """Summed once, or anew each time where it is being trained."""
        return _summed(self.conv.weight) if self.conv.weight.requires_grad else self._summed

    def __call__(self, hidden_BCHW: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose2d(hidden_BCHW, self.weight, self.conv.bias, stride=2, padding=1)


class DoublingWideConv:
    """The same for 5x5, whose sums meet 3x3 pixels of the small picture: one convolution for the four places of each."""

    def __init__(self, weight_OI55: torch.Tensor, bias_O: torch.Tensor) -> None:
        self.weight, self.bias = _spread(weight_OI55), bias_O.repeat_interleave(4)

    def __call__(self, hidden_BCHW: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(F.conv2d(hidden_BCHW, self.weight, self.bias, padding=1), 2)


class ConvPair:
    """Two 3x3 convolutions as one of 5x5: of the picture, or of the doubled picture.

    The first one's output is never written. Beyond the border the second sees zeros where the one of 5x5 sees what
    the first would have said there; that is worked out for the lines along the border, and taken away.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, *, doubled: bool) -> None:
        (stride, _), self.doubled = second.stride, doubled
        weight, bias = _composed(first, second)
        self.whole = (
            DoublingWideConv(weight, bias)
            if doubled
            else partial(F.conv2d, weight=weight, bias=bias, stride=stride, padding=2)
        )
        # A stride of two stops short of the far border, as long as sides are even.
        ends = (FIRST, LAST) if stride == 1 else (FIRST,)
        self.edges = [_Edge(first, second, axis, end) for axis in (2, 3) for end in ends]

    def __call__(self, hidden_BCHW: torch.Tensor) -> torch.Tensor:
        made = self.whole(hidden_BCHW)
        for edge in self.edges:
            line_BCN = hidden_BCHW.select(edge.axis, edge.end)
            if self.doubled:
                line_BCN = line_BCN.repeat_interleave(2, dim=2)
            made.select(edge.axis, edge.end).sub_(edge(line_BCN))
        return made


class _Edge:
    """What the second convolution would be told from beyond one side of the picture, by the pixels along that side."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, axis: int, end: int) -> None:
        self.axis, self.end = axis, end
        inner, outer = (2, 0) if end == FIRST else (0, 2)
        self.first = first.weight.detach().select(axis, inner).contiguous()
        self.second = second.weight.detach().select(axis, outer).contiguous()
        self.bias, self.stride = first.bias, second.stride[0]
        # Corners lie beyond two sides; they are taken away once, with the rows.
        self.paddings = (2, 0) if axis == 2 else (1, 1)

    def __call__(self, line_BCN: torch.Tensor) -> torch.Tensor:
        before, after = self.paddings
        beyond = F.conv1d(line_BCN, self.first, self.bias, padding=before)
        return F.conv1d(beyond, self.second, stride=self.stride, padding=after)


Layer = nn.Module | DoublingConv | ConvPair


def folded(layers: Sequence[nn.Module]) -> list[Layer]:
    """The layers in order, with those that nothing lies between as one."""
    rest = list(layers)
    made: list[Layer] = []
    while rest:
        doubled = isinstance(rest[0], nn.Upsample) and len(rest) > 1
        first, second = (*rest[doubled : doubled + 2], None)[:2]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and _pays(first, second):
            made.append(ConvPair(first, second, doubled=doubled))
            del rest[: doubled + 2]
        elif doubled and isinstance(first, nn.Conv2d):
            made.append(DoublingConv(first))
            del rest[:2]
        else:
            made.append(rest.pop(0))
    return made


def _pays(first: nn.Conv2d, second: nn.Conv2d) -> bool:
    """Whether 25 products are fewer than the nine before and the nine after."""
    plain = first.stride == (1, 1) and first.kernel_size == second.kernel_size == (3, 3)
    ends, between = first.in_channels * second.out_channels, first.out_channels
    apart = 9 * between * (first.in_channels * second.stride[0] ** 2 + second.out_channels)
    return plain and 25 * ends < apart


def _composed(first: nn.Conv2d, second: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of both in one."""
    inner, outer = first.weight.detach().float(), second.weight.detach().float()
    weight = F.conv_transpose2d(outer, inner)
    bias = weight.new_zeros(len(outer)) if second.bias is None else second.bias.detach().float()
    if first.bias is not None:
        bias = bias + outer.sum(dim=(2, 3)) @ first.bias.detach().float()
    dtype = second.weight.dtype
    return weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)


def _spread(weight_OI55: torch.Tensor) -> torch.Tensor:
    """4 O x I x 3 x 3."""
    meets = MEETS_2_3_5.to(weight_OI55.device, torch.float32)
    spread = torch.einsum("aeu,bfv,oiuv->oabief", meets, meets, weight_OI55.float())
    return spread.flatten(0, 2).to(weight_OI55.dtype).contiguous(memory_format=torch.channels_last)


def _summed(weight: torch.Tensor) -> torch.Tensor:
    """The kernel over each of the four places that one pixel of the small picture takes in the large one."""
    flipped = weight.float().transpose(0, 1).flip(2, 3)
    places = [
        F.pad(flipped, (right, 1 - right, down, 1 - down)) for right in (0, 1) for down in (0, 1)
    ]
    return sum(places[1:], places[0]).to(weight.dtype).contiguous(memory_format=torch.channels_last)
