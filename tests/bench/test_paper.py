"""The re-created loop: beside the pipeline, its conditioning, its batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from rivals import difference, frames, loaded
from sidestream.bench.paper import PaperLoop, hook
from sidestream.bench.upstream import UpstreamLoop
from sidestream.models.nano.architecture import TEXT, VISION
from sidestream.types import Frame, Pixels


def test_the_paper_s_loop_shows_what_the_pipeline_shows():
    """From the same noise: they differ in how the text is padded, and not in what it says."""
    [frame] = frames(1)
    with PaperLoop(loaded().parts, steps=2, batch=1) as loop:
        [made] = loop.restyle([frame])
        assert loop.render_seconds > 0
    [expected] = UpstreamLoop(loaded().parts, steps=2, vision_size=256).restyle([frame])
    assert difference(made, expected) < 2
    assert difference(made, frame.pixels) > 8


def test_a_model_without_a_vocabulary_runs_in_both_loops():
    """As the twin would: with its number of token ids, and of all else as little as will do."""
    config = Qwen3VLConfig(
        text_config={**TEXT, "vocab_size": 151_936}, vision_config=VISION, tie_word_embeddings=True
    )
    encoder = Qwen3VLForConditionalGeneration(config)
    made = replace(loaded().parts, text_encoder=encoder, tokenizer=None)
    parts = made.to(torch.device("cpu"), torch.float32)
    # Of one colour, since the two scale the encoder's picture by other filters.
    frame = replace(frames(1)[0], pixels=np.full((64, 64, 3), (200, 120, 60), np.uint8))
    with PaperLoop(parts, batch=1) as loop:
        [theirs] = loop.restyle([frame])
    [upstream] = UpstreamLoop(parts, steps=1, vision_size=256).restyle([frame])
    assert difference(theirs, upstream) < 2


def test_what_does_not_fill_a_batch_is_dropped_by_the_paper_s_loop():
    with PaperLoop(loaded().parts, batch=2) as loop:
        assert len(list(loop.restyle(frames(5)))) == 4
        assert list(loop.restyle(frames(1))) == []


def test_conditioning_shows_the_inputs_and_every_few_batches_the_last_output():
    plain, every_second, never_again = (
        restyled_by_paper(adapter, cond_every)
        for adapter, cond_every in ((False, 1), (True, 2), (True, 100))
    )
    assert difference(plain[0], every_second[0]) > 2
    assert difference(every_second[:2], never_again[:2]) == 0
    assert difference(every_second[2], never_again[2]) > 0


def restyled_by_paper(adapter: bool, cond_every: int) -> list[Pixels]:
    found = loaded(adapter)
    with PaperLoop(found.parts, found.adapter, batch=1, cond_every=cond_every) as loop:
        return list(loop.restyle(frames(3)))


def test_conditioning_is_written_in_place():
    found = loaded(adapter=True)
    assert found.adapter is not None
    [linear, *others] = hook(found.parts.unet, found.adapter)
    assert len(others) == len(found.adapter.sites) - 1
    with torch.inference_mode():
        linear.show(torch.zeros(1, 3, 64, 64))
        address, black = linear.cond_BND.data_ptr(), linear.cond_BND.clone()
        linear.show(torch.ones(1, 3, 64, 64))
    assert linear.cond_BND.data_ptr() == address
    assert (linear.cond_BND - black).abs().max() > 0


def test_text_is_read_anew_every_few_batches():
    with (
        PaperLoop(loaded().parts, batch=1) as always,
        PaperLoop(loaded().parts, batch=1, text_every=2) as at_times,
    ):
        fresh, kept = (list(loop.restyle(apart())) for loop in (always, at_times))
    assert difference(fresh[0], kept[0]) == difference(fresh[2], kept[2]) == 0
    assert difference(fresh[1], kept[1]) > 0


def apart() -> list[Frame]:
    """Pictures that have nothing in common."""
    random = np.random.default_rng(0)
    shades = random.integers(0, 256, (3, 1, 1, 3), np.uint8)
    return [
        replace(frame, pixels=np.ascontiguousarray(np.broadcast_to(shade, (64, 64, 3))))
        for frame, shade in zip(frames(3), shades, strict=True)
    ]
