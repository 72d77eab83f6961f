"""The whole way from nothing to a model folder, at sizes that take seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from courses import CPU, course_in, equal, small, stopped_after
from sidestream.config import Size
from sidestream.models import components
from sidestream.train import course
from sidestream.train.course import SIZES, STAGES, large


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a course that was stopped while it drew, while it trained each network, and then gone on with."""
    folder = tmp_path_factory.mktemp("course")
    with small():
        # Asked once after four pictures and once before every step; finished stages ask no more.
        finished = [course_in(folder, stopped_after(asked)).nano() for asked in (0, 6, 3)]
        assert finished == [False, False, False]
        assert course_in(folder).nano()
        yield folder


def test_its_model_folder_loads_as_any(folder: Path):
    parts = components.load(folder / "model", torch.float32, CPU)
    assert parts.tokenizer is not None
    assert len(parts.tokenizer) <= course.WORDS


def test_its_files_can_be_shared_and_say_what_they_hold(folder: Path):
    config = json.loads((folder / "model" / "text_encoder" / "config.json").read_text())
    assert config["dtype"] == "float16"
    found = list((folder / "model").rglob("*.safetensors"))
    assert len(found) == 3
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in found)


def test_training_goes_on_from_a_model(folder: Path, tmp_path: Path):
    before, told = folder / "model", set[str]()
    assert course_in(tmp_path, told=lambda name, *rest: told.add(name)).nano(before)
    assert STAGES[-1].name in told
    assert told.isdisjoint({"autoencoder", *(stage.name for stage in STAGES[:-1])})
    old, new = (components.load(at, torch.float32, CPU) for at in (before, tmp_path / "model"))
    assert old.tokenizer.get_vocab() == new.tokenizer.get_vocab()
    assert equal(old.vae.encoder, new.vae.encoder)
    assert not equal(old.vae.decoder, new.vae.decoder)
    assert not equal(old.unet, new.unet)
    assert torch.allclose(old.unet.conv_in.weight, new.unet.conv_in.weight, atol=0.05)


def test_stopped_courses_and_whole_ones_make_the_same_model(folder: Path, tmp_path: Path):
    assert course_in(tmp_path).nano()
    assert course_in(folder, told=lambda name, *rest: None).nano()
    for part in ("unet", "vae", "text_encoder"):
        one, other = (
            next((place / "model" / part).glob("*.safetensors")).read_bytes()
            for place in (folder, tmp_path)
        )
        assert one == other, part


def test_what_is_finished_is_not_done_again(folder: Path):
    told: list[str] = []
    assert course_in(folder, told=lambda name, *rest: told.append(name)).nano()
    assert told == []


def test_the_stages_take_all_steps():
    assert sum(stage.share for stage in STAGES) == 1


def test_a_large_meal_is_about_as_many_pixels_whatever_its_shape(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(course, "SIZES", SIZES)
    monkeypatch.setattr(course, "SQUARE", Size(256, 256))
    meals = [large(step) for step in range(60)]
    assert {meal.size for meal in meals} == set(SIZES)
    whole = 4 * 256 * 256
    assert all(
        whole * 0.8 < meal.batch * meal.size.width * meal.size.height < whole * 1.2
        for meal in meals
    )
    assert large(7) == meals[7]
