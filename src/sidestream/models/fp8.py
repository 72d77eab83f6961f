"""Linear layers in 8-bit floats: half the bytes to read, for GPUs that multiply them.

Weights have a scale for every output, activations one for every token, so that an outlier costs its own row alone. What
comes last in the encoder's and the denoiser's answers stays as it is, and so do layers that an adapter is attached to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.errors import ConfigError
from sidestream.models.components import Components

FORMAT = torch.float8_e4m3fn
LARGEST = torch.finfo(FORMAT).max
STEP = 16
"""Widths must be multiples of it."""
ONCE = "time_emb_proj"
"""Layers that are computed once a size and number of steps, and so stay as they are."""
PROVEN = (9, 0)
"""Compute capability of Hopper, the one generation that it is promised for: others have no record."""


class Float8Linear(nn.Module):
    """Stands in the place of a linear layer. On a CPU its numbers are rounded alike and multiplied as usual."""

    weight: torch.Tensor
    scale_N1: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, host: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = host.in_features, host.out_features
        weight, scale_N1 = rounded(host.weight.detach())
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("scale_N1", scale_N1, persistent=False)
        bias: Any = host.bias  # None where it has none
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows_MK = input.reshape(-1, self.in_features)
        if input.device.type == "cuda":  # pragma: no cover - cuda
            made_MN = self._multiplied(rows_MK)
        else:
            made_MN = F.linear(
                restored(*rounded(rows_MK), input.dtype),
                restored(self.weight, self.scale_N1, input.dtype),
                self.bias,
            )
        return made_MN.view(*input.shape[:-1], self.out_features)

    def _multiplied(self, rows_MK: torch.Tensor) -> torch.Tensor:  # pragma: no cover - cuda
        short_MK, scale_M1 = rounded(rows_MK)
        return torch._scaled_mm(  # pyright: ignore[reportPrivateUsage] - it has no public name
            short_MK,
            self.weight.t(),
            scale_a=scale_M1,
            scale_b=self.scale_N1.t(),
            bias=self.bias,
            out_dtype=rows_MK.dtype,
            use_fast_accum=True,
        )


def rounded(rows_MK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows in 8 bits, each filling the format's range, and what to multiply them by."""
    scale_M1 = rows_MK.abs().amax(dim=1, keepdim=True).float().clamp_min(1e-12) / LARGEST
    return (rows_MK / scale_M1).clamp(-LARGEST, LARGEST).to(FORMAT), scale_M1


def restored(short_MK: torch.Tensor, scale_M1: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return (short_MK.float() * scale_M1).to(dtype)


def check(device: torch.device, dtype: torch.dtype) -> str:
    """Refuses, before anything is loaded, what cannot be done; gives what there is to say of what only acts as if it could."""
    if device.type == "cpu":
        return "fp8 is emulated on a CPU: its pictures are those of a GPU, but it is slower than without"
    on_cuda = device.type == "cuda"
    refuse(device, torch.cuda.get_device_capability(device) if on_cuda else (0, 0), dtype)
    return ""  # pragma: no cover - cuda


def refuse(device: torch.device, capability: tuple[int, int], dtype: torch.dtype) -> None:
    if capability != PROVEN:
        raise ConfigError(
            f"fp8 needs an NVIDIA GPU of the Hopper generation, such as the H100, not {device}: leave --fp8 out"
        )
    if dtype != torch.bfloat16:
        raise ConfigError(
            f"fp8 on a GPU needs bfloat16 for the rest, not {str(dtype).removeprefix('torch.')}: "
            "leave --dtype out, or --fp8"
        )


def shorten(parts: Components) -> int:
    """Puts the linear layers of encoder and denoiser into 8 bits, and gives how many."""
    encoder: Any = parts.text_encoder.model
    unet: Any = parts.unet
    within = [encoder.visual.blocks, encoder.language_model.layers]
    within += [unet.down_blocks, unet.mid_block, unet.up_blocks]
    count = 0
    for root in within:
        for parent, name, host in list(_linears(root)):
            setattr(parent, name, Float8Linear(host))
            count += 1
    return count


def _linears(root: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Plain layers that fit: an adapter's, which does more than its host, is left alone, and what is computed once as well."""
    for parent in root.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear and name != ONCE and not _odd(child):
                yield parent, name, child


def _odd(linear: nn.Linear) -> bool:
    return bool(linear.in_features % STEP or linear.out_features % STEP)
