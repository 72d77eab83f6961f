"""Diffusers' own pipeline for the model, frame by frame, which is all that it can do: what ours is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sidestream.bench.footage import PROMPT
from sidestream.build import template_of
from sidestream.models.components import Components
from sidestream.models.instruct.template import VISION, Template
from sidestream.types import Frame, Pixels

if TYPE_CHECKING:
    from diffusers import DreamLiteMobilePipeline

VISION_SIZE = 512
"""Side that the pipeline brings the encoder's picture to."""
LEAST_PIXELS = 256 * 256
"""Qwen's processor enlarges what is smaller."""
SEED = 42


class UpstreamLoop:
    """One call of the pipeline a frame; `vision_size` in place of its own makes settings equal."""

    def __init__(self, parts: Components, *, steps: int, vision_size: int = VISION_SIZE) -> None:
        self._steps = steps
        self._pipeline: Any = pipeline(parts, vision_size)

    def restyle(self, frames: Iterable[Frame]) -> Iterator[Pixels]:
        from PIL import Image

        for frame in frames:
            height, width = frame.pixels.shape[:2]
            made = self._pipeline(
                PROMPT,
                Image.fromarray(frame.pixels),
                height=height,
                width=width,
                num_inference_steps=self._steps,
                generator=torch.Generator().manual_seed(SEED + frame.index),
            )
            yield np.asarray(made.images[0])


def pipeline(parts: Components, vision_size: int) -> DreamLiteMobilePipeline:
    """As released, but for the side of the picture that its encoder sees."""
    from diffusers import DreamLiteMobilePipeline, FlowMatchEulerDiscreteScheduler

    before_norm(parts)
    template = template_of(parts)
    tokenizer: Any = parts.tokenizer
    made: Any = DreamLiteMobilePipeline(
        text_encoder=parts.text_encoder,
        tokenizer=tokenizer,
        processor=processor_of(parts, template),
        vae=parts.vae,
        unet=parts.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(**parts.scheduler),
    )
    made.prompt_template_encode_edit_start_idx = len(template.prefix_ids)
    made.set_progress_bar_config(disable=True)
    if vision_size != VISION_SIZE:
        made.encode_prompt = _seeing(made, vision_size)
    return made


def before_norm(parts: Components) -> None:
    """With transformers 5 the last hidden state is the normed one unless this is off; the weights want the other."""
    outer: Any = parts.text_encoder.config
    for config in (outer, outer.text_config):
        config.tie_last_hidden_states = False


def processor_of(parts: Components, template: Template) -> Any:
    """Qwen's processor without its video half, which needs torchvision."""
    if parts.tokenizer is None:
        return StandInProcessor(parts.text_encoder.config, template)

    import transformers
    from transformers.processing_utils import ProcessorMixin

    class EditProcessor(transformers.Qwen3VLProcessor):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None) -> None:
            self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
            self.vision_start_token, self.vision_end_token = VISION[0], VISION[2]
            for name in ("image", "video", "vision_start", "vision_end"):
                token = getattr(self, f"{name}_token")
                setattr(self, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
            ProcessorMixin.__init__(self, image_processor, tokenizer)

    return EditProcessor(_image_processor(), parts.tokenizer)


class StandInProcessor:
    """For a model without a vocabulary: pictures as ever, and made-up ids in the number that a text would have."""

    def __init__(self, config: Any, template: Template) -> None:
        self._config = config
        self._template = template
        self._pictures = _image_processor()

    def __call__(
        self,
        text: Sequence[str],
        images: Sequence[Any],
        max_length: int = 0,
        **how: Any,
    ) -> Any:
        from transformers import BatchFeature

        seen = self._pictures(images=list(images), return_tensors="pt")
        tokens = int(seen["image_grid_thw"][0].prod()) // self._pictures.merge_size**2
        config, template = self._config, self._template
        picture = [config.image_token_id] * tokens
        ids = [
            *template.prefix_ids,
            config.vision_start_token_id,
            *picture,
            config.vision_end_token_id,
            *template.ids(PROMPT),
        ]
        length = max(len(ids), max_length)
        padded = torch.tensor([ids + [template.pad] * (length - len(ids))] * len(text))
        counts = (torch.arange(length) < len(ids)).long().expand(len(text), -1)
        return BatchFeature(
            {
                "input_ids": padded,
                "attention_mask": counts,
                "mm_token_type_ids": (padded == config.image_token_id).int(),
                **seen,
            }
        )


def _image_processor() -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    half = [0.5, 0.5, 0.5]
    return Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, image_mean=half, image_std=half, min_pixels=LEAST_PIXELS
    )


def _seeing(made: Any, vision_size: int) -> Any:
    """Its `encode_prompt` with another side in place of the one that is written there."""
    encode_prompt, resizer = made.encode_prompt, made.image_processor
    resize = resizer.resize

    def smaller(image: Any, height: int, width: int, **how: Any) -> Any:
        return resize(image, height=vision_size, width=vision_size, **how)

    def encode(*args: Any, **kwargs: Any) -> Any:
        # Only here: frames, which may have any size, go through the same resizer.
        resizer.resize = smaller
        try:
            return encode_prompt(*args, **kwargs)
        finally:
            resizer.resize = resize

    return encode
