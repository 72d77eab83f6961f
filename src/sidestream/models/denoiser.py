"""The edit U-Net's forward, ours, over the module classes and weights of diffusers.

What upstream recomputes every step is computed once here: time embeddings per (K, size), and the keys and
values of the text per text. The one key/value head is shared by folding the query heads into the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from sidestream.config import Size
from sidestream.errors import ModelError
from sidestream.models.folding import DoublingConv
from sidestream.models.norms import Normed, as_it_is
from sidestream.sampler import euler, sigmas
from sidestream.types import TextState

if TYPE_CHECKING:
    from diffusers import DreamLiteUNetModel

PADDING_BIAS = -10000.0


@dataclass(frozen=True, eq=False)
class Steps:
    """What is constant for K steps at one size: one row a step."""

    time_KC: torch.Tensor
    """The time embedding as every resnet adds it, side by side."""
    sigma_K: torch.Tensor
    next_K: torch.Tensor


class Denoiser:
    """Owns the U-Net and its constants per (K, size)."""

    def __init__(
        self,
        unet: DreamLiteUNetModel,
        scheduler: Mapping[str, Any],
        stride: int,
        *,
        normed: Normed = as_it_is,
    ) -> None:
        """`normed`: how group norms are computed."""
        _check_supported(unet)
        self.unet: Any = unet
        self.scheduler = scheduler
        self.stride = stride
        self._normed = normed
        self._steps: dict[tuple[int, Size], Steps] = {}
        self._readers = [block.attn2 for block in _transformer_blocks(unet)]
        self._places = {id(attention): place for place, attention in enumerate(self._readers)}
        self._resnets = list(_resnets(unet))
        self._doublings = [
            DoublingConv(block.upsamplers[0].conv)
            for block in self.unet.up_blocks
            if block.upsamplers
        ]
        self._heads: int = self._readers[0].inner_kv_dim // self._head_width

    @property
    def _head_width(self) -> int:
        return self._readers[0].inner_dim // self._readers[0].heads

    def read(self, states_BLD: torch.Tensor) -> torch.Tensor:
        """Keys and values of every cross-attention layer: B x layers x 2 x kv heads x L x head width."""
        hidden = self.unet.encoder_hid_proj(states_BLD)
        batch, length, _ = hidden.shape
        shape = (batch, length, self._heads, self._head_width)
        layers: list[torch.Tensor] = []
        for attention in self._readers:
            key = _norm(attention.norm_k, attention.to_k(hidden).view(shape))
            value = attention.to_v(hidden).view(shape)
            layers.append(torch.stack((key, value), dim=1))
        return torch.stack(layers, dim=1).transpose(3, 4).contiguous()

    def steps(self, count: int, size: Size) -> Steps:
        """Constants of `count` steps at `size`, computed once."""
        if (count, size) not in self._steps:
            self._steps[count, size] = self._constants(count, size)
        return self._steps[count, size]

    def advance(
        self,
        latents_BCHW: torch.Tensor,
        source_BCHW: torch.Tensor,
        text: TextState,
        steps: Steps,
        index_B: torch.Tensor,
    ) -> torch.Tensor:
        """One step, each slot at its own place `index_B` in the schedule."""
        velocity = self.velocity(
            latents_BCHW, source_BCHW, text, steps.time_KC.index_select(0, index_B)
        )
        sigma, following = (row.index_select(0, index_B) for row in (steps.sigma_K, steps.next_K))
        return euler(latents_BCHW, velocity, sigma, following)

    def velocity(
        self,
        latents_BCHW: torch.Tensor,
        source_BCHW: torch.Tensor,
        text: TextState,
        time_BC: torch.Tensor,
    ) -> torch.Tensor:
        """The U-Net on latent and source side by side; only the latent's half of the answer counts."""
        unet = self.unet
        doublings = iter(self._doublings)
        times = iter(time_BC.split([_time_width(resnet) for resnet in self._resnets], dim=1))
        bias = attention_bias(text)

        hidden = unet.conv_in(torch.cat((latents_BCHW, source_BCHW), dim=3))
        passed = [hidden]
        for block in unet.down_blocks:
            for resnet, transformer in _layers(block):
                hidden = self._layer(resnet, transformer, hidden, next(times), text.kv, bias)
                passed.append(hidden)
            if block.downsamplers is not None:
                hidden = block.downsamplers[0](hidden)
                passed.append(hidden)

        hidden = self._resnet(unet.mid_block.resnets[0], hidden, next(times))
        for transformer, resnet in zip(
            unet.mid_block.attentions, unet.mid_block.resnets[1:], strict=True
        ):
            hidden = self._transformer(transformer, hidden, text.kv, bias)
            hidden = self._resnet(resnet, hidden, next(times))

        for block in unet.up_blocks:
            for resnet, transformer in _layers(block):
                hidden = torch.cat((hidden, passed.pop()), dim=1)
                hidden = self._layer(resnet, transformer, hidden, next(times), text.kv, bias)
            if block.upsamplers is not None:
                hidden = next(doublings)(hidden)

        hidden = unet.conv_out(F.silu(self._normed(unet.conv_norm_out, hidden)))
        return hidden[..., : latents_BCHW.shape[-1]]

    def _layer(
        self,
        resnet: Any,
        transformer: Any,
        hidden: torch.Tensor,
        time_BC: torch.Tensor,
        kv: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        hidden = self._resnet(resnet, hidden, time_BC)
        return hidden if transformer is None else self._transformer(transformer, hidden, kv, bias)

    def _resnet(self, block: Any, hidden_BCHW: torch.Tensor, time_BC: torch.Tensor) -> torch.Tensor:
        inner = block.conv1(F.silu(self._normed(block.norm1, hidden_BCHW)))
        inner = block.conv2(F.silu(self._normed(block.norm2, inner, time_BC)))
        outer = hidden_BCHW if block.conv_shortcut is None else block.conv_shortcut(hidden_BCHW)
        return inner.add_(outer)

    def _transformer(
        self, transformer: Any, hidden_BCHW: torch.Tensor, kv: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        batch, channels, height, width = hidden_BCHW.shape
        tokens = (
            self._normed(transformer.norm, hidden_BCHW)
            .permute(0, 2, 3, 1)
            .reshape(batch, height * width, channels)
        )
        tokens = transformer.proj_in(tokens)
        for block in transformer.transformer_blocks:
            tokens = self._block(block, tokens, kv, bias)
        tokens = transformer.proj_out(tokens)
        return tokens.view(batch, height, width, channels).permute(0, 3, 1, 2) + hidden_BCHW

    def _block(
        self, block: Any, tokens_BND: torch.Tensor, kv: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        normed = block.norm1(tokens_BND)
        if block.attn1 is None:
            tokens = normed  # these levels keep the norm itself, without a residual
        else:
            tokens = self._look_around(block.attn1, normed).add_(tokens_BND)
        place = self._places[id(block.attn2)]
        told = _attend(block.attn2, block.norm2(tokens), kv[:, place, 0], kv[:, place, 1], bias)
        tokens = told.add_(tokens)
        return block.ff(block.norm3(tokens)).add_(tokens)

    def _look_around(self, attention: Any, tokens_BND: torch.Tensor) -> torch.Tensor:
        batch, count, _ = tokens_BND.shape
        shape = (batch, count, self._heads, self._head_width)
        key = _norm(attention.norm_k, attention.to_k(tokens_BND).view(shape)).transpose(1, 2)
        value = attention.to_v(tokens_BND).view(shape).transpose(1, 2)
        return _attend(attention, tokens_BND, key, value, None)

    def embed(self, times_K: torch.Tensor, size: Size) -> torch.Tensor:
        """What every resnet adds for these times (1000 is noise) at this size, side by side, one row a time."""
        unet = self.unet
        weight = unet.conv_in.weight
        # Upstream passes times and sizes in the model's dtype; 652.49 is 652 in bfloat16, and parity needs that.
        times_K = times_K.to(weight)
        sizes = torch.tensor([[size.width, size.height]], device=weight.device, dtype=weight.dtype)
        embedding = unet.time_embedding(unet.time_proj(times_K).to(weight.dtype))
        extra = unet.add_time_proj(sizes.flatten()).reshape(1, -1).to(weight.dtype)
        act = F.silu(embedding + unet.add_embedding(extra))
        return torch.cat([resnet.time_emb_proj(act) for resnet in self._resnets], dim=1)

    def _constants(self, count: int, size: Size) -> Steps:
        schedule = sigmas(
            count, size.height // self.stride, size.width // self.stride, self.scheduler
        )
        device = self.unet.conv_in.weight.device
        values = torch.tensor(schedule.values, device=device)
        times = torch.tensor(schedule.timesteps, device=device)
        return Steps(self.embed(times, size), values[:-1].contiguous(), values[1:].contiguous())


def attention_bias(text: TextState) -> torch.Tensor:
    """Log of each text token's weight, so that prompts cross-fade inside attention; padding is shut out.

    The picture's tokens come first, once for all prompts: weights of 1 in sum would give each its own score back.
    """
    weight = (text.counts_BnL * text.weights_Bn[:, :, None]).flatten(1)
    bias = F.pad(weight.log().clamp_min(PADDING_BIAS), (text.kv.shape[4] - weight.shape[1], 0))
    return bias.to(text.kv.dtype)[:, None, None, :]


def _attend(
    attention: Any,
    tokens_BND: torch.Tensor,
    key_BGLd: torch.Tensor,
    value_BGLd: torch.Tensor,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    """Attention with shared key/value heads: query heads of a group lie along the sequence, nothing is repeated."""
    batch, count, _ = tokens_BND.shape
    groups, width = key_BGLd.shape[1], key_BGLd.shape[3]
    share = attention.heads // groups
    query = attention.to_q(tokens_BND).view(batch, count, attention.heads, width)
    query = _norm(attention.norm_q, query)
    query = query.view(batch, count, groups, share, width).transpose(1, 2)
    query = query.reshape(batch, groups, count * share, width)
    seen = F.scaled_dot_product_attention(query, key_BGLd, value_BGLd, attn_mask=bias)
    seen = seen.view(batch, groups, count, share, width).transpose(1, 2)
    return attention.to_out[0](seen.reshape(batch, count, -1))


def _norm(norm: Any, hidden: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(hidden, norm.weight.shape, norm.weight, norm.eps)


def _layers(block: Any) -> Iterator[tuple[Any, Any]]:
    """The resnets of a down or up block, each with its transformer where the block has any."""
    transformers = getattr(block, "attentions", None) or [None] * len(block.resnets)
    return zip(block.resnets, transformers, strict=True)


def _resnets(unet: Any) -> Iterator[Any]:
    """In the order of the forward."""
    for block in unet.down_blocks:
        yield from block.resnets
    yield from unet.mid_block.resnets
    for block in unet.up_blocks:
        yield from block.resnets


def _transformer_blocks(unet: Any) -> Iterator[Any]:
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        for transformer in getattr(block, "attentions", []):
            yield from transformer.transformer_blocks


def _time_width(resnet: Any) -> int:
    return resnet.time_emb_proj.out_features


def _check_supported(unet: Any) -> None:
    """Refuses a U-Net that this forward would run wrongly."""
    config = unet.config
    expected = {
        "encoder_hid_dim_type": "text_proj_rms",
        "addition_embed_type": "time",
        "use_linear_projection": True,
        "resnet_time_scale_shift": "default",
        "qk_norm": "rms_norm",
        "act_fn": "silu",
        "class_embed_type": None,
        "only_cross_attention": False,
        "center_input_sample": False,
    }
    for name, value in expected.items():
        if config.get(name) != value:
            raise ModelError(
                f"the U-Net has {name} = {config.get(name)!r}, this runtime needs {value!r}: "
                "use the weights of a DreamLite model in diffusers layout"
            )
    widths = {attn.inner_dim // attn.heads for attn in _attentions(unet)}
    if len(widths) != 1:
        raise ModelError(
            f"the U-Net's attention heads have widths {sorted(widths)}, one width is needed"
        )


def _attentions(unet: nn.Module) -> Iterator[Any]:
    for block in _transformer_blocks(unet):
        yield from (attn for attn in (block.attn1, block.attn2) if attn is not None)
