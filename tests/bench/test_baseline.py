"""Ours beside others': the re-created loop and diffusers' pipeline on lively nano, and the ratio."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

import lively
from sidestream.adapter.temporal import randomise
from sidestream.bench import baseline
from sidestream.bench.baseline import DIFFUSERS, PAPER, compared
from sidestream.bench.bench import Bench
from sidestream.bench.footage import PROMPT, footage
from sidestream.bench.paper import PaperLoop, hook
from sidestream.bench.turns import Turn, in_turns
from sidestream.bench.upstream import StandInProcessor, UpstreamLoop, processor_of
from sidestream.build import Loaded, attached, load, template_of
from sidestream.config import ModelConfig, Size
from sidestream.models import zoo
from sidestream.models.nano.architecture import TEXT, VISION
from sidestream.models.twin import text_encoder_config
from sidestream.types import Frame, Pixels

SIZE = Size(64, 64)


def loaded(adapter: bool = False) -> Loaded:
    parts = lively.components().to(torch.device("cpu"), torch.float32)
    made = None
    if adapter:
        made = attached(parts, ModelConfig())
        randomise(made, seed=0, gain=2.0)
    return Loaded(zoo.find("nano"), parts, made)


def frames(count: int) -> list[Frame]:
    return [
        Frame(pixels, index, Fraction(1, 24), index)
        for index, pixels in enumerate(footage(SIZE, count))
    ]


def difference(one, other) -> float:
    return float(np.abs(np.asarray(one, int) - np.asarray(other, int)).mean())


def test_the_ratio_is_the_median_of_neighbouring_turns():
    mine = [Turn(1.0, 0.5), Turn(2.0, 1.0), Turn(1.0, 0.5)]
    theirs = [Turn(3.0, 1.0), Turn(4.0, 2.0), Turn(5.0, 1.0)]
    found = compared(mine, theirs, frames=10)
    assert (found["ratio"], found["ratio_min"], found["ratio_max"]) == (3, 2, 5)
    assert (found["fps"], found["fps_rival"]) == (10, 2.5)
    assert (found["step_fps"], found["step_fps_rival"]) == (20, 10)


def test_all_take_turns_and_the_first_round_only_warms_up():
    said: list[str] = []

    def turn(name: str) -> Turn:
        said.append(name)
        return Turn(len(said), 0)

    turns = in_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, rounds=2)
    assert said == ["a", "b"] * 3
    assert [turn.seconds for turn in turns["a"]] == [3, 5]


def test_settings_are_equal_but_for_the_loop_or_each_ones_own(bench: Bench):
    *equal, own = baseline.settings(replace(bench, loading=ModelConfig(device="cpu")))
    for setting in equal:
        assert setting.loading.adapter == "none"
        for rival in setting.rivals.values():
            assert rival.steps == setting.stream.steps
            assert rival.vision_size == setting.loading.vision_size == 256
            assert rival.adapter == "none"
    assert own.loading.adapter == own.rivals[PAPER].adapter == "default"
    assert own.rivals[PAPER].batch == 8
    assert (own.rivals[DIFFUSERS].steps, own.rivals[DIFFUSERS].vision_size) == (4, 512)
    assert own.rivals[DIFFUSERS].dtype == "float32"


def test_the_paper_s_loop_shows_what_the_pipeline_shows():
    """From the same noise: they differ in how the text is padded, and not in what it says."""
    [frame] = frames(1)
    with PaperLoop(loaded().parts, steps=2, batch=1) as loop:
        [made] = loop.restyle([frame])
        assert loop.render_seconds > 0
    [expected] = UpstreamLoop(loaded().parts, steps=2, vision_size=256).restyle([frame])
    assert difference(made, expected) < 2
    assert difference(made, frame.pixels) > 8


def test_the_pipeline_sees_the_picture_as_large_as_asked_for():
    [frame] = frames(1)
    [small], [large] = (
        UpstreamLoop(loaded().parts, steps=1, vision_size=side).restyle([frame])
        for side in (256, 512)
    )
    assert difference(small, large) > 0


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


@pytest.fixture
def small(bench: Bench) -> Bench:
    return replace(bench, load_parts=lambda name, config: loaded(config.adapter != "none"))


@pytest.mark.parametrize("file_to_file", [False, True])
def test_three_loops_are_compared(small: Bench, file_to_file: bool):
    *_, own = baseline.settings(small)
    found = list(baseline.compare(replace(small, file_to_file=file_to_file), own))
    assert [one.row for one in found] == [f"own defaults: {name}" for name in (PAPER, DIFFUSERS)]
    against_paper, against_diffusers = (one.metrics for one in found)
    assert against_paper["step_fps_rival"] > against_paper["fps_rival"]
    assert against_diffusers["step_fps_rival"] == against_diffusers["fps_rival"]
    assert found[0].config["clock"] == ("file to file" if file_to_file else "memory to memory")
    assert found[0].config["rival"]["batch"] == 8
    assert list(baseline.charts(found)) == ["loops"]
    assert baseline.charts([]) == {}


def test_parts_of_others_are_loaded_as_ours_are():
    found = load("nano", ModelConfig(device="cpu", dtype="float32"))
    assert found.adapter is not None
    assert found.parts.unet.dtype == torch.float32
