"""Adapters are made for a model that is there, at sizes that take seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from courses import CPU, course_in, equal, small
from sidestream import Stylizer
from sidestream.adapter import checkpoint, detail
from sidestream.adapter.temporal import attach
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.models import components
from sidestream.models.nano.architecture import untrained
from sidestream.models.zoo import ADAPTER
from sidestream.train import course
from sidestream.train.export import save


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model folder."""
    folder = tmp_path_factory.mktemp("start")
    with small():
        save(untrained(course.words()), folder, 64 * 64, 32)
        yield folder


@pytest.fixture(scope="module", params=["adapter", "lllite"])
def made(request: pytest.FixtureRequest, start: Path, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    assert getattr(course_in(folder), request.param)(start)
    return request.param, folder / "model"


def test_model_and_adapter_restyle(made):
    _, folder = made
    config = ModelConfig(adapter=str(folder / ADAPTER), vision_size=32, device="cpu")
    frames = np.random.default_rng(0).integers(256, size=(3, 64, 64, 3), dtype=np.uint8)
    with Stylizer.load(str(folder), config) as stylizer:
        stream = StreamConfig(size=Size(64, 64), batch=1)
        styled = list(stylizer.open("make it an oil painting", stream).run(frames))
    assert [one.pixels.shape for one in styled] == [(64, 64, 3)] * 3


def test_the_denoiser_learns_beside_an_adapter_inside_it_alone(made, start: Path):
    what, folder = made
    old, new = (components.load(at, torch.float32, CPU) for at in (start, folder))
    assert equal(old.unet, new.unet) == equal(old.vae.decoder, new.vae.decoder)
    assert equal(old.unet, new.unet) == (what == "adapter")
    assert equal(old.vae.encoder, new.vae.encoder)
    assert equal(old.text_encoder, new.text_encoder)


def test_adapters_say_what_they_are_and_where_they_come_from(made):
    what, folder = made
    path = folder / ADAPTER
    with checkpoint.opened(path) as file:
        assert (file.metadata()["model"], file.metadata()["step"]) == ("nano", "2")
    assert path.stat().st_mode & 0o777 == 0o644
    if what == "adapter":
        assert checkpoint.kind_of(path) == detail.KIND
        assert detail.load(path).trust.weight.any()
    else:
        assert checkpoint.kind_of(path) == checkpoint.KIND
        parts = components.load(folder, torch.float32, CPU)
        adapter = attach(parts.unet, ModelConfig().hooks, 1)
        checkpoint.load(adapter, path)
        assert any(weight.any() for name, weight in adapter.weights().items() if ".up." in name)


@pytest.mark.parametrize("what", ["adapter", "lllite"])
def test_clips_are_stopped_between_two(start: Path, tmp_path: Path, what: str):
    told: list[tuple[str, int, int]] = []
    stopped = course_in(
        tmp_path, lambda: True, lambda name, done, total, figures: told.append((name, done, total))
    )
    assert not getattr(stopped, what)(start)
    assert told == [("clips", 1, 2)]
    assert not (tmp_path / "model").exists()
