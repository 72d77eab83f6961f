"""Ours beside others, and the ratio."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rivals import loaded
from sidestream.bench import baseline
from sidestream.bench.baseline import DIFFUSERS, PAPER, compared
from sidestream.bench.bench import Bench
from sidestream.bench.turns import Turn
from sidestream.build import load
from sidestream.config import ModelConfig


def test_the_ratio_is_the_median_of_neighbouring_turns():
    mine = [Turn(1.0, 0.5), Turn(2.0, 1.0), Turn(1.0, 0.5)]
    theirs = [Turn(3.0, 1.0), Turn(4.0, 2.0), Turn(5.0, 1.0)]
    found = compared(mine, theirs, frames=10)
    assert (found["ratio"], found["ratio_min"], found["ratio_max"]) == (3, 2, 5)
    assert (found["fps"], found["fps_rival"]) == (10, 2.5)
    assert (found["step_fps"], found["step_fps_rival"]) == (20, 10)


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
