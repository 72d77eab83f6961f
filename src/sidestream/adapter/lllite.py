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
    """What the picture adds to `mid`, for tokens of a H x W grid."""

    def __init__(self, networks: Sequence[SiteNetwork], stride: int, rows: int, like: torch.Tensor):
        super().__init__()
        # Plain lists: networks and layers must not become part of the U-Net.
        self.networks = list(networks)
        self.layers: list[tuple[torch.Tensor, torch.Tensor, int]] = []
        self.stride = stride
        self.rows = rows
        self.banks: dict[Size, torch.Tensor] = {}
        self.register_buffer("bank_SRHWD", like.new_zeros(0), persistent=False)

    def resize(self, size: Size) -> None:
        if size not in self.banks:
            grid = (size.height // self.stride, 2 * size.width // self.stride)
            # An inference tensor could not be written outside of inference mode, and would recompile.
            with torch.inference_mode(False):
                self.banks[size] = self.bank_SRHWD.new_zeros(
                    len(self.networks), self.rows, *grid, HIDDEN_DIM
                )
        self.bank_SRHWD = self.banks[size]

    def write(self, rows: torch.Tensor, pictures_BCHW: torch.Tensor) -> None:
        sites = len(self.networks)
        (weight, bias, stride), *others, mid = self.layers
        x = F.conv2d(pictures_BCHW.to(weight.dtype), weight, bias, stride)
        for weight, bias, stride in others:
            x = F.conv2d(F.relu(x), weight, bias, stride, groups=sites)
        weight, bias, stride = mid
        x = F.conv2d(beside_reference(x), weight, bias, stride, groups=sites)
        pages_BSDHW = x.unflatten(1, (sites, HIDDEN_DIM))
        self.bank_SRHWD.index_copy_(1, rows, pages_BSDHW.permute(1, 0, 3, 4, 2))

    def fold(self) -> None:
        """Takes the networks' weights: of each layer those of all sites, as one grouped convolution."""
        self.layers = [
            (
                self._joined(f"conditioning1.{2 * index}.weight"),
                self._joined(f"conditioning1.{2 * index}.bias"),
                stride,
            )
            for index, stride in enumerate(conv_strides(self.stride))
        ]
        mid_weight = self._joined("mid.0.weight")[:, :COND_DIM, None, None].contiguous()
        self.layers.append((mid_weight, self._joined("mid.0.bias"), 1))

    def _joined(self, name: str) -> torch.Tensor:
        parts = [network.get_parameter(name).detach() for network in self.networks]
        return torch.cat(parts).to(self.bank_SRHWD.dtype)


class Slots(nn.Module):
    """Which row each slot of the batch reads, and how strongly. Shared by all sites, written in place."""

    rows: torch.Tensor
    multipliers_B11: torch.Tensor

    def __init__(self, like: torch.Tensor) -> None:
        super().__init__()
        count = max(BATCH_SIZES)
        self.register_buffer("rows", like.new_zeros(count, dtype=torch.long), persistent=False)
        self.register_buffer("multipliers_B11", like.new_zeros(count, 1, 1), persistent=False)

    def select(self, rows: torch.Tensor, multipliers: torch.Tensor) -> None:
        self.rows[: len(rows)].copy_(rows, non_blocking=True)
        self.multipliers_B11[: len(rows)].copy_(multipliers.reshape(-1, 1, 1), non_blocking=True)


class HookedLinear(nn.Linear):
    """Stands in its host's place with its host's weights, so that the U-Net's state_dict and parameters stay as they are."""

    def __init__(self, host: nn.Linear) -> None:
        super().__init__(host.in_features, host.out_features, device="meta")
        self.weight, self.bias = host.weight, host.bias


class TrainedLinear(HookedLinear):
    """The form that is trained: `delta` says what to add to the host's input."""

    def __init__(self, host: nn.Linear, delta: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(host)
        self.delta = delta

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input + self.delta(input).to(input.dtype))


class LLLiteLinear(HookedLinear):
    """The form that runs: no branches, nothing but buffers, in the host's number format."""

    down_weight: torch.Tensor
    down_bias: torch.Tensor
    mid_weight: torch.Tensor
    up_weight: torch.Tensor
    up_bias: torch.Tensor

    def __init__(self, host: nn.Linear, level: Level, position: int, slots: Slots) -> None:
        super().__init__(host)
        self.level = level
        self.position = position
        self.slots = slots
        shapes = {
            "down_weight": (HIDDEN_DIM, host.in_features),
            "down_bias": (HIDDEN_DIM,),
            "mid_weight": (HIDDEN_DIM, HIDDEN_DIM),
            "up_weight": (host.in_features, HIDDEN_DIM),
            "up_bias": (host.in_features,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, host.weight.detach().new_zeros(shape), persistent=False)

    def fold(self, network: SiteNetwork) -> None:
        """Takes the network's weights, in place."""
        self.down_weight.copy_(network.get_parameter("down.0.weight"))
        self.down_bias.copy_(network.get_parameter("down.0.bias"))
        self.mid_weight.copy_(network.get_parameter("mid.0.weight")[:, COND_DIM:])
        self.up_weight.copy_(network.get_parameter("up.0.weight"))
        self.up_bias.copy_(network.get_parameter("up.0.bias"))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        slots = input.shape[0]
        bank_RND = self.level.bank_SRHWD[self.position].flatten(1, 2)
        cond_BND = bank_RND.index_select(0, self.slots.rows[:slots])
        down_BND = F.relu(F.linear(input, self.down_weight, self.down_bias))
        mid_BND = F.relu(F.linear(down_BND, self.mid_weight) + cond_BND)
        delta_BNC = F.linear(mid_BND, self.up_weight, self.up_bias)
        return super().forward(input + self.slots.multipliers_B11[:slots] * delta_BNC)
