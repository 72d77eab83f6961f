"""The vision tower of Qwen3-VL for pictures of one fixed grid: the library's weights, our forward.

With the grid fixed, every table of positions is a constant and a batch is one attention, so nothing waits for
the device and the whole is one graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.models.instruct.rotary import frequencies, rotate, rotation

if TYPE_CHECKING:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import (
        Qwen3VLVisionAttention,
        Qwen3VLVisionBlock,
        Qwen3VLVisionModel,
    )

ROPE_THETA = 10_000.0


class VisionTower(nn.Module):
    """Owns the position tables of a square grid of `grid` x `grid` patches."""

    places_PD: torch.Tensor
    cos_PD: torch.Tensor
    sin_PD: torch.Tensor

    def __init__(self, visual: Qwen3VLVisionModel, grid: int) -> None:
        super().__init__()
        self.visual = visual
        self.tokens = (grid // visual.spatial_merge_size) ** 2
        weight = visual.pos_embed.weight
        places_PD = _learned_places(weight.detach(), grid, visual.spatial_merge_size)
        self.register_buffer("places_PD", places_PD.to(weight), persistent=False)
        head_width = visual.config.hidden_size // visual.config.num_heads
        for name, table in zip(
            ("cos_PD", "sin_PD"),
            _rotation(grid, visual.spatial_merge_size, head_width),
            strict=True,
        ):
            self.register_buffer(name, table.to(weight.device), persistent=False)

    def forward(self, patches_BPD: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The picture's features, B x N x D, and those for the language model's first layers."""
        visual = self.visual
        embed = (
            visual.patch_embed.proj
        )  # a convolution whose stride is its kernel: one matrix product
        hidden = F.linear(patches_BPD.to(embed.weight.dtype), embed.weight.flatten(1), embed.bias)
        hidden = hidden + self.places_PD
        taps = list(visual.deepstack_visual_indexes)
        tapped: list[torch.Tensor] = []
        for index, block in enumerate(cast("Sequence[Qwen3VLVisionBlock]", visual.blocks)):
            hidden = hidden + self._attend(block.attn, block.norm1(hidden))
            hidden = hidden + block.mlp(block.norm2(hidden))
            if index in taps:
                tapped.append(self._merge(visual.deepstack_merger_list[taps.index(index)], hidden))
        return self._merge(visual.merger, hidden), tapped

    def _attend(self, attention: Qwen3VLVisionAttention, hidden_BPD: torch.Tensor) -> torch.Tensor:
        qkv = attention.qkv(hidden_BPD).unflatten(-1, (3, attention.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        turn = (self.cos_PD, self.sin_PD)
        mixed = F.scaled_dot_product_attention(rotate(query, turn), rotate(key, turn), value)
        return attention.proj(mixed.transpose(1, 2).flatten(2))

    def _merge(self, merger: nn.Module, hidden_BPD: torch.Tensor) -> torch.Tensor:
        return merger(hidden_BPD).unflatten(0, (-1, self.tokens))


def _merge_order(grid_HWD: torch.Tensor, merge: int) -> torch.Tensor:
    """Rows of a grid in the order in which patches come: block by block of merge x merge."""
    side = grid_HWD.shape[0] // merge
    blocks = grid_HWD.unflatten(1, (side, merge)).unflatten(0, (side, merge))
    return blocks.transpose(1, 2).flatten(0, 3)


def _learned_places(weight: torch.Tensor, grid: int, merge: int) -> torch.Tensor:
    """The learned square of position embeddings, stretched to the grid corner to corner."""
    side = round(weight.shape[0] ** 0.5)
    learned = weight.float().unflatten(0, (side, side)).permute(2, 0, 1)[None]
    stretched = F.interpolate(learned, (grid, grid), mode="bilinear", align_corners=True)
    return _merge_order(stretched[0].permute(1, 2, 0), merge)


def _rotation(grid: int, merge: int, head_width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Half of a head's channel pairs turn with the row, half with the column."""
    angles = torch.arange(grid)[:, None] * frequencies(head_width // 2, ROPE_THETA)
    rows, columns = angles[:, None].expand(-1, grid, -1), angles[None].expand(grid, -1, -1)
    return rotation(_merge_order(torch.cat([rows, columns], -1), merge))
