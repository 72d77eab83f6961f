"""A model by name, folder or hub id becomes an engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lively
from pictures import sliding
from sidestream import ModelConfig, Stylizer
from sidestream.adapter import checkpoint
from sidestream.build import build
from sidestream.errors import ConfigError, ModelError
from sidestream.models import kernels, openvino, twin, zoo

COMMIT = "0" * 40


def save(folder: Path) -> None:
    parts = lively.components()
    for name in ("unet", "vae", "text_encoder", "tokenizer"):
        getattr(parts, name).save_pretrained(folder / name)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(dict(parts.scheduler)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache that holds nano as `someone/nano`."""
    root = tmp_path_factory.mktemp("hub")
    repository = root / "models--someone--nano"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    save(repository / "snapshots" / COMMIT)
    return root


def pixels(stylizer: Stylizer) -> np.ndarray:
    with stylizer.open("ink", size="32x32", batch=2) as stream:
        return np.stack([s.pixels for s in stream.run(sliding(4, width=32, height=32))])


def test_a_model_of_the_hub_runs_from_the_cache(cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with Stylizer.load(
        "someone/nano", ModelConfig(offline=True, adapter="none", vision_size=128)
    ) as stylizer:
        loaded = pixels(stylizer)
    folder = cache / "models--someone--nano" / "snapshots" / COMMIT
    with Stylizer.load(str(folder), ModelConfig(adapter="none", vision_size=128)) as stylizer:
        assert np.array_equal(loaded, pixels(stylizer))


def test_a_folder_is_a_model_and_has_no_adapter_of_its_own(cache, capsys):
    folder = cache / "models--someone--nano" / "snapshots" / COMMIT
    zoo.announce.cache_clear()
    built = build(str(folder), ModelConfig())
    assert built.engine.adapter is None
    assert "of unknown licence" in capsys.readouterr().err


def test_an_adapter_file_is_loaded_and_says_what_it_dropped(tmp_path):
    path = tmp_path / "adapter.safetensors"
    everywhere = ModelConfig(hooks=("down_blocks", "mid_block", "up_blocks"))
    checkpoint.save(lively.load(everywhere).built.engine.adapter, path, {"step": 1})
    with Stylizer.load("nano", ModelConfig(adapter=str(path))) as stylizer:
        assert "dropped" in stylizer.built.notes[0]
        assert pixels(stylizer).shape == (4, 32, 32, 3)


def test_nano_has_an_adapter_of_its_own():
    built = build("nano", ModelConfig())
    assert built.engine.detail is not None
    assert built.engine.steadied
    assert built.notes == ()


def test_the_released_adapter_is_fetched_by_hash(cache, monkeypatch):
    from dataclasses import replace

    from sidestream.models import zoo

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    released = zoo.MODELS["dreamlite-mobile"].adapter
    entry = replace(zoo.find("someone/nano"), adapter=released)
    monkeypatch.setattr(zoo, "MODELS", {"someone/nano": entry})
    with pytest.raises(ModelError, match="is not on this machine and downloads are off"):
        build("someone/nano", ModelConfig(offline=True))


def test_the_twin_has_the_released_parts():
    parts = twin.components(torch.device("meta"), torch.bfloat16)
    assert sum(w.numel() for w in parts.text_encoder.parameters()) == 2_127_532_032
    assert parts.unet.dtype == torch.bfloat16
    assert parts.tokenizer is None


def test_without_anything_that_compiles_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(openvino, "available", lambda: False)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="install OpenVINO"):
        build("nano", ModelConfig(compile=True, device="cpu"))


@pytest.mark.parametrize("here", [True, False])
def test_that_compiling_takes_long_is_said_before_it_does(monkeypatch, capsys, here: bool):
    monkeypatch.setattr(openvino, "available", lambda: here)
    monkeypatch.setattr(openvino, "MOST_WEIGHTS", 0)
    monkeypatch.setattr(kernels, "keep", lambda name, device: None)
    monkeypatch.setenv("CXX", "sh")
    build("nano", ModelConfig(compile=True, device="cpu")).close()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("sidestream: compiling takes minutes on this CPU")
    assert ("pip install openvino" in said) != here
