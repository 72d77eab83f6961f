"""The parts of an edit model, as the libraries that own their classes give them. No forward passes here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny, DreamLiteUNetModel
    from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration


@dataclass(frozen=True, eq=False)
class Components:
    unet: DreamLiteUNetModel
    vae: AutoencoderTiny
    text_encoder: Qwen3VLForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase | None
    """None for a model that has no vocabulary of its own (twin)."""
    scheduler: Mapping[str, Any]
    """The flow-match scheduler's configuration."""
