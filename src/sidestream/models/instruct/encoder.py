"""Pictures and instructions to the states that the denoiser reads, equal to the library's model and far leaner."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from sidestream.models.instruct.language import KeyValue, LanguageModel
from sidestream.models.instruct.patches import patches
from sidestream.models.instruct.template import Template
from sidestream.models.instruct.vision import VisionTower

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration


class Seen(NamedTuple):
    """Pictures that instructions can be read for."""

    states_BLD: torch.Tensor
    """Of <|vision_start|>, the picture and <|vision_end|>."""
    past: list[KeyValue]
    """Keys and values of every layer, from the first token of the template to <|vision_end|>."""


class LeanEncoder(nn.Module):
    """The states of everything from <|vision_start|> on, before the model's final norm.

    Token ids are B x L, L up to the template's longest bucket, padded on the right with anything: causality keeps
    the padding from the tokens before it. Build it when the weights have their final dtype.
    """

    ends_2D: torch.Tensor

    def __init__(
        self, model: Qwen3VLForConditionalGeneration, template: Template, vision_size: int
    ) -> None:
        super().__init__()
        visual, language = model.model.visual, model.model.language_model
        times, patch, _ = visual.patch_embed.proj.kernel_size
        merge = visual.spatial_merge_size
        self._cut = partial(patches, size=vision_size, patch=patch, merge=merge, times=times)
        self.vision = VisionTower(visual, vision_size // patch)
        side = vision_size // (patch * merge)
        self.language = LanguageModel(
            language, template.prefix_ids, side=side, longest=template.buckets[-1]
        )
        config = model.config
        ends = [config.vision_start_token_id, config.vision_end_token_id]
        ids = torch.tensor(ends, device=language.embed_tokens.weight.device)
        self.register_buffer("ends_2D", self.language.embed(ids).detach(), persistent=False)

    def encode(self, pictures_BCHW: torch.Tensor, ids_BL: torch.Tensor) -> torch.Tensor:
        """States of pictures and instructions in one pass, B x (2 + N + L) x D."""
        seen_BLD, tapped = self._look(pictures_BCHW)
        hidden = torch.cat([seen_BLD, self.language.embed(ids_BL)], 1)
        states, _ = self.language(hidden, self.language.prefix_for(len(hidden)), tapped)
        return states

    def see(self, pictures_BCHW: torch.Tensor) -> Seen:
        """What does not depend on the instruction, for several of them about the same pictures."""
        hidden, tapped = self._look(pictures_BCHW)
        return Seen(*self.language(hidden, self.language.prefix_for(len(hidden)), tapped))

    def read(self, seen: Seen, ids_BL: torch.Tensor) -> torch.Tensor:
        """What `encode` gives, at the price of the instruction alone."""
        states, _ = self.language(self.language.embed(ids_BL), seen.past)
        return torch.cat([seen.states_BLD, states], 1)

    def _look(self, pictures_BCHW: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Embeddings of <|vision_start|>, the picture and <|vision_end|>; features for the first layers."""
        picture_BND, tapped = self.vision(self._cut(pictures_BCHW))
        start, end = self.ends_2D[:, None, None].expand(-1, len(picture_BND), -1, -1)
        return torch.cat([start, picture_BND, end], 1), tapped
