"""The whole way from nothing to a model folder, at sizes that take seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sidestream import Stylizer
from sidestream.adapter import checkpoint
from sidestream.adapter.temporal import attach
from sidestream.config import ModelConfig, Size, StreamConfig, TrainConfig
from sidestream.models import components
from sidestream.models.zoo import ADAPTER
from sidestream.train import autoencoder, course, pictures
from sidestream.train.course import SIZES, STAGES, Course, large

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """All sizes, and no photographs, which come with a library that may not be here."""
    sizes = {
        "SQUARE": Size(64, 64),
        "WIDE": Size(96, 64),
        "SMALL": Size(32, 32),
        "SIZES": (Size(64, 64), Size(32, 64)),
        "PASSAGE": 3,
        "VISION_SIZE": 32,
        "PHRASES": 40,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(course, name, value)
        patch.setattr(course, "photographs", lambda: ())
        patch.setattr(autoencoder, "CROP", 32)
        patch.setattr(pictures, "PIECE", 4)
        course._photos.cache_clear()
        yield
        course._photos.cache_clear()


def course_in(folder: Path, stop: Callable[[], bool] = lambda: False, told=None) -> Course:
    config = TrainConfig(
        folder=folder,
        pictures=8,
        clips=2,
        autoencoder_steps=2,
        steps=4,
        adapter_steps=2,
        workers=1,
        dtype="float32",
    )
    return Course(config, told or (lambda *what: None), stop)


def stopped_after(asked: int) -> Callable[[], bool]:
    left = iter(range(asked))
    return lambda: next(left, None) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a course that was stopped while it drew, while it trained each network, and then gone on with."""
    folder = tmp_path_factory.mktemp("course")
    # Asked once after four pictures and once before every step; finished stages ask no more.
    finished = [course_in(folder, stopped_after(asked)).nano() for asked in (0, 6, 3)]
    assert finished == [False, False, False]
    assert [course_in(folder).nano(), course_in(folder).adapter(folder / "model")] == [True, True]
    return folder


def test_its_model_folder_loads_as_any(folder: Path):
    parts = components.load(folder / "model", torch.float32, CPU)
    assert parts.tokenizer is not None
    assert len(parts.tokenizer) <= course.WORDS


def test_its_files_can_be_shared_and_say_what_they_hold(folder: Path):
    config = json.loads((folder / "model" / "text_encoder" / "config.json").read_text())
    assert config["dtype"] == "float16"
    found = list((folder / "model").rglob("*.safetensors"))
    assert len(found) == 4
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in found)


def test_its_model_and_adapter_restyle(folder: Path):
    adapter = str(folder / "model" / ADAPTER)
    config = ModelConfig(adapter=adapter, vision_size=32, device="cpu")
    frames = np.random.default_rng(0).integers(256, size=(3, 64, 64, 3), dtype=np.uint8)
    with Stylizer.load(str(folder / "model"), config) as stylizer:
        stream = StreamConfig(size=Size(64, 64), batch=1)
        styled = list(stylizer.open("make it an oil painting", stream).run(frames))
    assert [one.pixels.shape for one in styled] == [(64, 64, 3)] * 3


def test_training_goes_on_from_a_model(folder: Path, tmp_path: Path):
    before, told = folder / "model", set[str]()
    assert course_in(tmp_path, told=lambda name, *rest: told.add(name)).nano(before)
    assert STAGES[-1].name in told
    assert told.isdisjoint({"autoencoder", *(stage.name for stage in STAGES[:-1])})
    old, new = (components.load(at, torch.float32, CPU) for at in (before, tmp_path / "model"))
    assert old.tokenizer.get_vocab() == new.tokenizer.get_vocab()
    assert _equal(old.vae.encoder, new.vae.encoder)
    assert not _equal(old.vae.decoder, new.vae.decoder)
    assert not _equal(old.unet, new.unet)
    assert torch.allclose(old.unet.conv_in.weight, new.unet.conv_in.weight, atol=0.05)


def test_the_denoiser_learns_beside_its_adapter_and_the_rest_stays(folder: Path, tmp_path: Path):
    before = folder / "model"
    assert course_in(tmp_path).adapter(before)
    old, new = (components.load(at, torch.float32, CPU) for at in (before, tmp_path / "model"))
    assert not _equal(old.unet, new.unet)
    assert not _equal(old.vae.decoder, new.vae.decoder)
    assert _equal(old.vae.encoder, new.vae.encoder)
    assert _equal(old.text_encoder, new.text_encoder)


def _equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_its_adapter_says_where_it_comes_from(folder: Path):
    parts = components.load(folder / "model", torch.float32, CPU)
    adapter = attach(parts.unet, ModelConfig().hooks, 1)
    loaded = checkpoint.load(adapter, folder / "model" / ADAPTER)
    assert (loaded.metadata["model"], loaded.metadata["step"]) == ("nano", "2")
    assert any(weight.any() for name, weight in adapter.weights().items() if ".up." in name)


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


def test_clips_are_stopped_between_two(folder: Path, tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    stopped = course_in(
        tmp_path, lambda: True, lambda name, done, total, figures: told.append((name, done, total))
    )
    assert not stopped.adapter(folder / "model")
    assert told == [("clips", 1, 2)]
    assert not (tmp_path / "model").exists()


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
