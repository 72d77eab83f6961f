"""One site of the adapter, in the form that is trained and in the form that runs.

The trained form is the definition: y = host(x + m * up(mid([cond, down(x)]))). The running form computes what
depends on the conditioning picture alone once, when the picture is written, and keeps it in a bank with a row a
stream. Letters beyond the package's: E conditioning width, R rows, S sites of one level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.config import BATCH_SIZES, Size

COND_DIM = 32
HIDDEN_DIM = 64


def conv_strides(stride: int) -> list[int]:
    """Splits a power of two from 2 on into steps of 4, and of 2 at the end."""
    steps: list[int] = []
    while stride > 1:
        steps.append(4 if stride % 4 == 0 else 2)
        stride //= steps[-1]
    return steps


def beside_reference(cond_BEHW: torch.Tensor) -> torch.Tensor:
    """The U-Net sees [picture | reference] side by side; there is no conditioning for the right half."""
    return F.pad(cond_BEHW, (0, cond_BEHW.shape[-1]))


class SiteNetwork(nn.Module):
    """What is trained for one site, in float32. Attribute names are those of the released files."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        strides = conv_strides(stride)
        widths = [3, *[COND_DIM // 2] * (len(strides) - 1), COND_DIM]
        layers: list[nn.Module] = []
        for step, width_in, width_out in zip(strides, widths, widths[1:], strict=False):
            layers += [nn.Conv2d(width_in, width_out, kernel_size=step, stride=step), nn.ReLU()]
        self.conditioning1 = nn.Sequential(*layers[:-1])
        self.down = nn.Sequential(nn.Linear(channels, HIDDEN_DIM), nn.ReLU())
        self.mid = nn.Sequential(nn.Linear(COND_DIM + HIDDEN_DIM, HIDDEN_DIM), nn.ReLU())
        up = nn.Linear(HIDDEN_DIM, channels)
        nn.init.zeros_(up.weight)
        nn.init.zeros_(up.bias)
        self.up = nn.Sequential(up)

    def embed(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        """One conditioning vector a token, B x N x E."""
        return beside_reference(self.conditioning1(pictures_BCHW.float())).flatten(2).mT

    def forward(self, x_BNC: torch.Tensor, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        """What to add to the host's input."""
        joined = torch.cat([self.embed(pictures_BCHW), self.down(x_BNC.float())], dim=-1)
        return self.up(self.mid(joined))


class Level(nn.Module):
    """The sites of one stride: their conditioning networks side by side, and their bank."""

    bank_SRHWD: torch.Tensor

    def __init__(self, networks: Sequence[SiteNetwork], stride: int, rows: int, like: torch.Tensor):
        super().__init__()
        # A plain list: the networks must not become part of the U-Net.
        self.networks = list(networks)
        self.strides = [*conv_strides(stride), 1]
        self.shape = (len(networks), rows, stride)
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.banks: dict[Size, torch.Tensor] = {}
        self.register_buffer("bank_SRHWD", like.new_zeros(0), persistent=False)

    def resize(self, size: Size) -> None:
        sites, rows, stride = self.shape
        if size not in self.banks:
            grid = (size.height // stride, 2 * size.width // stride)
            # Inference tensors could not be written outside of inference mode, and would recompile.
            with torch.inference_mode(False):
                self.banks[size] = self.bank_SRHWD.new_zeros(sites, rows, *grid, HIDDEN_DIM)
        self.bank_SRHWD = self.banks[size]

    def write(self, rows: torch.Tensor, pictures_BCHW: torch.Tensor) -> None:
        """Leaves mid's share of the conditioning, and mid's bias, in the bank's rows."""
        sites = len(self.networks)
        x = pictures_BCHW.to(self.bank_SRHWD.dtype)
        last = len(self.layers) - 1
        for index, ((weight, bias), stride) in enumerate(
            zip(self.layers, self.strides, strict=True)
        ):
            if index == last:
                x = beside_reference(x)
            elif index:
                x = F.relu(x)
            x = F.conv2d(x, weight, bias, stride, groups=sites if index else 1)
        pages_BSDHW = x.unflatten(1, (sites, HIDDEN_DIM))
        self.bank_SRHWD.index_copy_(1, rows, pages_BSDHW.permute(1, 0, 3, 4, 2))

    def fold(self) -> None:
        """Takes the networks' weights: of each layer, all sites' as one grouped convolution."""
        weights = [dict(network.named_parameters()) for network in self.networks]
        names = [f"conditioning1.{2 * index}" for index in range(len(self.strides) - 1)]
        layers = [
            (torch.cat([w[f"{name}.weight"] for w in weights]), _joined(weights, f"{name}.bias"))
            for name in names
        ]
        mid = torch.cat([w["mid.0.weight"][:, :COND_DIM, None, None] for w in weights])
        layers.append((mid, _joined(weights, "mid.0.bias")))
        dtype = self.bank_SRHWD.dtype
        self.layers = [(weight.to(dtype), bias.to(dtype)) for weight, bias in layers]


def _joined(weights): ...
