from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sidestream.adapter.checkpoint import load, save
from sidestream.adapter.temporal import attach, randomise
from sidestream.config import LIMITS, SECTIONS
from sidestream.errors import ModelError

KIND = {"kind": "temporal_lllite"}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "adapter.safetensors"


@pytest.fixture
def saved(unet, path):
    """The tensors of a file that fits the U-Net; the adapter they came from is gone."""
    adapter = attach(unet, SECTIONS, rows=1)
    randomise(adapter, seed=3)
    save(adapter, path, {"step": 7, "model": "tiny"})
    adapter.detach()
    return load_file(path)


def test_a_file_comes_back_as_it_was_saved(unet, path, saved):
    adapter = attach(unet, SECTIONS, rows=1)
    report = load(adapter, path)
    weights = adapter.weights()
    assert (report.used, report.dropped) == (len(saved), 0)
    assert report.metadata["step"] == "7"
    assert weights.keys() == saved.keys()
    assert all(torch.equal(weights[name], saved[name]) for name in saved)


def test_loaded_weights_run(unet, path, saved):
    adapter = attach(unet, SECTIONS, rows=1)
    load(adapter, path)
    site = adapter.sites[0]
    running = unet.get_submodule(site.name).up_weight
    assert torch.equal(running, saved[f"modules_dict.{site.key}.up.0.weight"])


def test_a_file_has_the_released_layout(path, saved):
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {
            **KIND,
            "cond_emb_dim": "32",
            "mlp_dim": "64",
            "step": "7",
            "model": "tiny",
        }
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    key = "modules_dict.down_blocks__2__attentions__0__transformer_blocks__0__attn1__to_q"
    layers = ["conditioning1.0", "conditioning1.2", "conditioning1.4", "down.0", "mid.0", "up.0"]
    expected = {f"{key}.{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert {name for name in saved if name.startswith(key)} == expected


def test_the_released_file_serves_the_down_blocks_alone(dreamlite, path):
    full = attach(dreamlite, SECTIONS, rows=1)
    tensors = {name: torch.zeros(w.shape).half() for name, w in full.weights().items()}
    save_file(tensors, path, KIND)
    full.detach()
    report = load(attach(dreamlite, ["down_blocks"], rows=1), path)
    assert (report.used, report.dropped) == (444, 828)
    assert "444 tensors used, 828 dropped" in report.message


def test_half_precision_weights_are_loaded_as_float32(unet, path, saved):
    save_file({name: tensor.half() for name, tensor in saved.items()}, path, KIND)
    adapter = attach(unet, SECTIONS, rows=1)
    load(adapter, path)
    assert {weight.dtype for weight in adapter.weights().values()} == {torch.float32}


NAME = "modules_dict.mid_block__attentions__0__transformer_blocks__0__attn1__to_q.up.0.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({NAME: None}, f"lacks 1 of .* the first {NAME}"),
        ({NAME: (1, 2)}, r"of shape \(1, 2\) where this model needs \(48, 64\)"),
        ({"modules_dict.elsewhere.up.0.weight": (1,)}, "no adapter site"),
        ({NAME.removeprefix("modules_dict."): (1,)}, "no adapter site"),
        ({NAME + ".more": (1,)}, "no adapter site"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(unet, path, saved, changes, message):
    changed = {name: torch.zeros(shape) for name, shape in changes.items() if shape}
    kept = {name: tensor for name, tensor in saved.items() if name not in changes}
    save_file({**kept, **changed}, path, KIND)
    adapter = attach(unet, SECTIONS, rows=1)
    before = {name: weight.clone() for name, weight in adapter.weights().items()}
    with pytest.raises(ModelError, match=message):
        load(adapter, path)
    assert all(torch.equal(weight, before[name]) for name, weight in adapter.weights().items())


@pytest.mark.parametrize("metadata", [{"kind": "spatial"}, {"cond_type": "canny"}, None])
def test_an_adapter_of_another_kind_is_refused(unet, path, saved, metadata):
    save_file(saved, path, metadata)
    with pytest.raises(ModelError, match="must be an adapter of kind 'temporal_lllite'"):
        load(attach(unet, SECTIONS, rows=1), path)


@pytest.mark.parametrize("name", ["adapter.pt", "adapter.bin", "adapter.ckpt", "adapter"])
def test_anything_but_safetensors_is_refused_unopened(unet, tmp_path, name):
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        load(attach(unet, SECTIONS, rows=1), tmp_path / name)


def test_a_missing_file_is_a_model_error(unet, path):
    with pytest.raises(ModelError, match="cannot read the adapter"):
        load(attach(unet, SECTIONS, rows=1), path)


@pytest.mark.parametrize(
    "header", [b"", b"\x80\x04\x95\x00\x00\x00\x00\x00.", (100).to_bytes(8, "little") + b"{" * 100]
)
def test_a_damaged_file_is_refused(unet, path, header):
    path.write_bytes(header)
    with pytest.raises(ModelError, match="damaged or no safetensors file"):
        load(attach(unet, SECTIONS, rows=1), path)


def test_a_cut_off_file_is_refused(unet, path, saved):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged or no safetensors file"):
        load(attach(unet, SECTIONS, rows=1), path)


def test_a_huge_header_is_refused(unet, path):
    path.write_bytes((LIMITS.max_safetensors_header + 1).to_bytes(8, "little"))
    with pytest.raises(ModelError, match="claims a header of 10000001 bytes"):
        load(attach(unet, SECTIONS, rows=1), path)


def test_an_unfinished_file_never_takes_the_name(unet, path):
    save(attach(unet, SECTIONS, rows=1), path, {})
    assert [file.name for file in path.parent.iterdir()] == [path.name]
