"""Diffusers' pipeline as it is called."""

from __future__ import annotations

from rivals import difference, frames, loaded
from sidestream.bench.footage import PROMPT
from sidestream.bench.upstream import StandInProcessor, UpstreamLoop, processor_of
from sidestream.build import template_of
from sidestream.models.twin import text_encoder_config


def test_the_pipeline_sees_the_picture_as_large_as_asked_for():
    [frame] = frames(1)
    [small], [large] = (
        UpstreamLoop(loaded().parts, steps=1, vision_size=side).restyle([frame])
        for side in (256, 512)
    )
    assert difference(small, large) > 0


def test_a_model_without_a_vocabulary_gets_as_many_tokens_as_a_text_has():
    from PIL import Image

    class Parts:
        tokenizer = None

        class text_encoder:
            config = text_encoder_config()

    template = template_of(Parts())
    processor = processor_of(Parts(), template)
    assert isinstance(processor, StandInProcessor)
    tokens = processor(text=["a"] * 2, images=[Image.new("RGB", (256, 256))] * 2, max_length=256)
    assert tokens["input_ids"].shape == (2, 256)
    assert int(tokens["attention_mask"][0].sum()) == 64 + 66 + len(template.ids(PROMPT))
    assert int(tokens["mm_token_type_ids"][0].sum()) == 64
    assert processor(text=["a"], images=[Image.new("RGB", (256, 256))])["input_ids"].shape[1] < 256
