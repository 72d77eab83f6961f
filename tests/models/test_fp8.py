"""Eight-bit linear layers, emulated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import lively
from sidestream import ModelConfig, Stylizer
from sidestream.adapter.lllite import LLLiteLinear
from sidestream.bench.footage import footage
from sidestream.build import attached, build
from sidestream.config import Size
from sidestream.errors import ConfigError
from sidestream.models import fp8
from sidestream.models.fp8 import Float8Linear, restored, rounded

SIZE = Size(128, 128)


def test_every_row_has_a_scale_of_its_own():
    rows = torch.tensor([[1.0, -2.0, 0.5], [1000.0, -3000.0, 250.0], [0.0, 0.0, 0.0]])
    short, scale = rounded(rows)
    assert short.dtype == torch.float8_e4m3fn and scale.shape == (3, 1)
    assert torch.allclose(restored(short, scale, torch.float32), rows, rtol=2**-4)
    assert short.float().abs().amax(1).tolist() == [448, 448, 0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_gives_nearly_what_its_host_gives(bias: bool, dtype: torch.dtype):
    torch.manual_seed(0)
    host = nn.Linear(64, 32, bias=bias).to(dtype)
    given = torch.randn(2, 5, 64, dtype=dtype) * torch.tensor([1.0, 100.0], dtype=dtype).view(
        2, 1, 1
    )
    with torch.inference_mode():
        exact, found = host(given), Float8Linear(host)(given)
    assert found.shape == exact.shape and found.dtype == dtype
    cosine = torch.nn.functional.cosine_similarity(found.float(), exact.float(), dim=-1)
    assert 0.995 < cosine.min() < 1 - 1e-6


def test_what_comes_last_and_what_an_adapter_holds_is_left_alone():
    parts = lively.components()
    adapter = attached(parts, ModelConfig())
    count = fp8.shorten(parts)
    modules = {name: type(module) for name, module in parts.unet.named_modules()}
    assert modules["encoder_hid_proj.0"] is nn.Linear
    assert not any(kind is Float8Linear for name, kind in modules.items() if fp8.ONCE in name)
    assert sum(kind is LLLiteLinear for kind in modules.values()) == len(adapter.sites)
    assert modules["up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"] is Float8Linear
    layers = parts.text_encoder.model.language_model.layers
    assert type(layers[0].self_attn.q_proj) is Float8Linear
    assert type(parts.text_encoder.lm_head) is nn.Linear
    assert count > 100


def test_pictures_change_a_little_and_a_note_says_that_it_is_emulated():
    shown = []
    for short in (False, True):
        built = build("nano", ModelConfig(fp8=short, dtype="float32", device="cpu"))
        assert any("emulated" in note for note in built.notes) == short
        with Stylizer(built) as stylizer, stylizer.open("a pencil sketch", size=SIZE) as stream:
            pictures = stream.run(list(footage(SIZE, 2)))
            shown.append([styled.pixels.astype(int) for styled in pictures])
    assert 0 < np.abs(np.subtract(*shown)).mean() < 4


@pytest.mark.parametrize(
    ("capability", "dtype", "sentence"),
    [
        ((8, 9), "bfloat16", r"fp8 needs an NVIDIA GPU of the Hopper .* not cuda: leave --fp8 out"),
        ((9, 0), "float32", r"fp8 on a GPU needs bfloat16 for the rest, not float32: leave"),
        ((9, 0), "float16", r"fp8 on a GPU needs bfloat16 for the rest, not float16: leave"),
    ],
)
def test_what_a_gpu_cannot_do_is_refused_in_one_sentence(capability, dtype: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        fp8.refuse(torch.device("cuda"), capability, getattr(torch, dtype))


def test_hopper_and_bfloat16_are_not_refused():
    fp8.refuse(torch.device("cuda"), (9, 0), torch.bfloat16)


def test_a_device_without_it_is_refused():
    with pytest.raises(ConfigError, match=r"fp8 needs an NVIDIA GPU .* not mps: leave"):
        fp8.check(torch.device("mps"), torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_is_emulated():
    torch.manual_seed(0)
    host = nn.Linear(256, 128).to("cuda", torch.bfloat16)
    given = torch.randn(40, 256, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        found = Float8Linear(host)(given).float().cpu()
        emulated = Float8Linear(host.cpu())(given.cpu()).float()
    assert (found - emulated).abs().max() < 0.05 * emulated.abs().max()
