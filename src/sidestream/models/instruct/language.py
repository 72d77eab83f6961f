"""The language model of Qwen3-VL for one template and picture grid: the library's weights, our forward.

Attention is causal, so the constant beginning of the template needs its keys and values only once, the picture's
do not depend on the prompt, and padding on the right changes nothing before it. The state we want is that of the
last layer before the final norm: neither that norm nor the vocabulary's logits are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.models.instruct.rotary import Rotation, frequencies, rotate, rotation

if TYPE_CHECKING:
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig
    from transformers.models.qwen3_vl.modeling_qwen3_vl import (
        Qwen3VLTextAttention,
        Qwen3VLTextDecoderLayer,
        Qwen3VLTextModel,
        Qwen3VLTextRMSNorm,
    )

KeyValue = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer, B x kv heads x tokens x head width."""


class LanguageModel(nn.Module):
    """Owns the position tables, the causal mask, and the keys and values of the template's beginning."""

    cos_LD: torch.Tensor
    sin_LD: torch.Tensor
    mask_LL: torch.Tensor
    prefix: torch.Tensor

    def __init__(
        self, model: Qwen3VLTextModel, prefix_ids: Sequence[int], *, side: int, longest: int
    ) -> None:
        """`side`: tokens along a side of the picture; `longest`: most tokens after the picture."""
        super().__init__()
        self.model = model
        config, weight = model.config, model.embed_tokens.weight
        positions = mrope_positions(len(prefix_ids), side, longest)
        mask = torch.full([positions.shape[1]] * 2, -torch.inf).triu(1)
        cos, sin = _rotation(positions, config)
        for name, table in (("cos_LD", cos), ("sin_LD", sin), ("mask_LL", mask)):
            self.register_buffer(name, table.to(weight), persistent=False)
        self._prefix_ids = tuple(prefix_ids)
        self.register_buffer("prefix", self._prefix(), persistent=False)

    def forward(
        self,
        hidden_BLD: torch.Tensor,
        past: Sequence[KeyValue],
        tapped: Sequence[torch.Tensor] = (),
    ) -> tuple[torch.Tensor, list[KeyValue]]:
        """States of the tokens after `past`, and the keys and values up to their end.

        `tapped` are picture features for the first layers; the picture begins at the second token given.
        """
        start = past[0][0].shape[2]
        end = start + hidden_BLD.shape[1]
        turn = (self.cos_LD[start:end], self.sin_LD[start:end])
        mask = self.mask_LL[start:end, :end]
        seen: list[KeyValue] = []
        for index, layer in enumerate(cast("Sequence[Qwen3VLTextDecoderLayer]", self.model.layers)):
            normed = _norm(layer.input_layernorm, hidden_BLD)
            mixed, key_value = _attend(layer.self_attn, normed, past[index], turn, mask)
            hidden_BLD = hidden_BLD + mixed
            hidden_BLD = hidden_BLD + layer.mlp(_norm(layer.post_attention_layernorm, hidden_BLD))
            seen.append(key_value)
            if index < len(tapped):
                hidden_BLD[:, 1 : 1 + tapped[index].shape[1]] += tapped[index]
        return hidden_BLD, seen

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.embed_tokens(ids)

    def prefix_for(self, batch: int) -> list[KeyValue]:
        """The past of a text that has only its constant beginning behind it."""
        keys_values = self.prefix.expand(-1, -1, batch, -1, -1, -1)
        return [(key_value[0], key_value[1]) for key_value in keys_values]

    def refresh(self) -> None:
        """Brings changed weights into the keys and values of the template's beginning."""
        self.prefix = self._prefix()

    @torch.no_grad()
    def _prefix(self) -> torch.Tensor:
        config, weight = self.model.config, self.model.embed_tokens.weight
        kv_heads = config.num_key_value_heads or config.num_attention_heads
        nothing = weight.new_empty(1, kv_heads, 0, config.head_dim)
        past = [(nothing, nothing)] * config.num_hidden_layers
        ids = torch.tensor([self._prefix_ids], device=weight.device)
        _, seen = self(self.embed(ids), past)
        return torch.stack([torch.stack(key_value) for key_value in seen])


def mrope_positions(prefix: int, side: int, longest: int) -> torch.Tensor:
    """Time, row and column of every token, 3 x L: text moves along all three, a picture spans a square."""
    before = torch.arange(prefix + 1).expand(3, -1)
    first = prefix + 1
    picture = torch.stack(
        [
            torch.zeros(side * side, dtype=torch.long),
            torch.arange(side).repeat_interleave(side),
            torch.arange(side).repeat(side),
        ]
    )
    after = torch.arange(1 + longest).expand(3, -1)
    return torch.cat([before, first + picture, first + side + after], 1)


def _rotation(positions_3L: torch.Tensor, config: Qwen3VLTextConfig) -> Rotation:
    """Channel pairs take time, row and column in turn, as far as the sections of rows and columns go."""
    rope: Any = config.rope_parameters  # a mapping without fixed keys
    _, rows, columns = rope["mrope_section"]
    axis = torch.zeros(config.head_dim // 2, dtype=torch.long)
    axis[1 : 3 * rows : 3] = 1
    axis[2 : 3 * columns : 3] = 2
    return rotation(positions_3L[axis].T * frequencies(config.head_dim, rope["rope_theta"]))


def _norm(norm: Qwen3VLTextRMSNorm, hidden: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _attend(
    attention: Qwen3VLTextAttention,
    hidden_BLD: torch.Tensor,
    past: KeyValue,
    turn: Rotation,
    mask: torch.Tensor,
) -> tuple[torch.Tensor, KeyValue]:
    def heads(projection: nn.Linear) -> torch.Tensor:
        return projection(hidden_BLD).unflatten(-1, (-1, attention.head_dim))

    query = _norm(attention.q_norm, heads(attention.q_proj)).transpose(1, 2)
    key = _norm(attention.k_norm, heads(attention.k_proj)).transpose(1, 2)
    key = torch.cat([past[0], rotate(key, turn)], 2)
    value = torch.cat([past[1], heads(attention.v_proj).transpose(1, 2)], 2)
    mixed = F.scaled_dot_product_attention(
        rotate(query, turn), key, value, attn_mask=mask, enable_gqa=True
    )
    return attention.o_proj(mixed.transpose(1, 2).flatten(2)), (key, value)
