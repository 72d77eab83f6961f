"""Loading from a folder in diffusers layout, and each way in which that can fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import lively
from sidestream.config import LIMITS
from sidestream.errors import ModelError
from sidestream.models import components

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nano as other tools would save it."""
    folder = tmp_path_factory.mktemp("nano")
    parts = lively.components()
    parts.unet.save_pretrained(folder / "unet")
    parts.vae.save_pretrained(folder / "vae")
    parts.text_encoder.save_pretrained(folder / "text_encoder")
    parts.tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "scheduler").mkdir()
    config = json.dumps(dict(parts.scheduler))
    (folder / "scheduler" / "scheduler_config.json").write_text(config)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        components.load(folder, torch.float32, CPU)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_saved_model_loads_with_the_same_weights(saved):
    found, built = components.load(saved, torch.float32, CPU), lively.components()
    for name in ("unet", "vae", "text_encoder"):
        before, after = getattr(built, name).state_dict(), getattr(found, name).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    assert found.tokenizer("oil é").input_ids == built.tokenizer("oil é").input_ids
    assert found.scheduler["max_shift"] == 1.15


def test_weights_come_in_the_dtype_that_was_asked_for(saved):
    found = components.load(saved, torch.bfloat16, CPU)
    assert {found.unet.dtype, found.vae.dtype, found.text_encoder.dtype} == {torch.bfloat16}


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(folder, part):
    shutil.rmtree(folder / part)
    assert f"has no {part}" in refusal(folder)


def test_the_processor_may_hold_the_tokenizer(folder):
    (folder / "tokenizer").rename(folder / "processor")
    assert components.load(folder, torch.float32, CPU).tokenizer is not None


def test_a_wrong_architecture_is_named(folder):
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    assert "holds a UNet2DConditionModel, expected a DreamLiteUNetModel" in refusal(folder)


def test_a_pickle_is_refused_even_where_a_loader_would_take_it(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04N.")
    assert "diffusion_pytorch_model.bin, a pickle" in refusal(folder)


def test_absent_weights_are_named(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert "has no weights" in refusal(folder)


def test_a_truncated_file_is_refused(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    assert "cannot be loaded" in refusal(folder)


@pytest.mark.parametrize("header", [0, LIMITS.max_safetensors_header + 1, 2**62])
def test_a_header_beyond_its_bound_is_refused_before_it_is_read(folder, header):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(header.to_bytes(8, "little") + bytes(100))
    assert "not a whole safetensors file" in refusal(folder)


def test_a_weight_that_is_not_there_is_not_left_random(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    kept = load_file(weights)
    kept.pop("conv_in.weight")
    save_file(kept, weights)
    assert "lacks 1 weights, first conv_in.weight" in refusal(folder)


def test_broken_json_is_named(folder):
    (folder / "scheduler" / "scheduler_config.json").write_text("{")
    assert "cannot be read as JSON" in refusal(folder)


def test_a_repository_that_is_not_here_is_named_when_offline():
    with pytest.raises(ModelError, match=r"nobody/nothing is not on this machine and downloads"):
        components.download("nobody/nothing", None, offline=True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("GatedRepoError", "is gated: accept its terms"),
        ("RepositoryNotFoundError", "there is no public repository a/b"),
        ("RevisionNotFoundError", "has no revision 'main'"),
        ("LocalEntryNotFoundError", "the hub could not be reached"),
    ],
)
def test_what_the_hub_answers_becomes_one_sentence(error, expected):
    from huggingface_hub import errors

    kind = getattr(errors, error)
    answer = SimpleNamespace(headers={}, request=None)
    with pytest.raises(ModelError, match=expected), components.hub_sentences("a/b", "main", False):
        raise kind("no") if error == "LocalEntryNotFoundError" else kind("no", response=answer)


def test_a_download_that_is_not_the_file_asked_for_is_refused(tmp_path):
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(b"other")
    with pytest.raises(ModelError, match="has SHA-256"):
        components.check_hash(path, "0" * 64)


@pytest.mark.parametrize(
    ("part", "entry"),
    [
        ("text_encoder", {"auto_map": {"AutoModel": "evil.Evil"}}),
        ("text_encoder", {"attn_implementation": "someone/kernel"}),
        ("text_encoder", {"quantization_config": {"quant_method": "bitsandbytes"}}),
        ("unet", {"auto_map": {"AutoModel": "evil.Evil"}}),
    ],
)
def test_a_configuration_that_asks_for_code_is_refused(folder, part, entry):
    path = folder / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entry}))
    assert f"asks for {next(iter(entry))}, which can run code of others" in refusal(folder)


def test_a_tokenizer_that_asks_for_code_runs_none(folder):
    (folder / "tokenizer" / "evil.py").write_text("raise SystemExit('ran')")
    path = folder / "tokenizer" / "tokenizer_config.json"
    asked = {"auto_map": {"AutoTokenizer": [None, "evil.Evil"]}, "tokenizer_class": "Evil"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **asked}))
    components_or_refusal = pytest.raises(ModelError, match="tokenizer cannot be loaded")
    with components_or_refusal:
        components.load(folder, torch.float32, CPU)


@pytest.mark.parametrize("text", ["[1]", "[" * 100_000, '"x"'])
def test_json_that_is_no_object_is_named(folder, text):
    (folder / "unet" / "config.json").write_text(text)
    assert "JSON" in refusal(folder)
