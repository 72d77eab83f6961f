"""Functions as graphs: the same results, made once a shape, kept on disk."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pictures import sliding
from sidestream import Stylizer, disk
from sidestream.adapter import checkpoint
from sidestream.build import _converter, attached, build, load
from sidestream.config import ModelConfig
from sidestream.errors import EngineError
from sidestream.models import openvino
from sidestream.models.compile import Background
from sidestream.models.lanes import Lane
from sidestream.models.openvino import Converter, Wide


@dataclass(frozen=True)
class Pair:
    left: torch.Tensor
    right: torch.Tensor


class Model:
    """Counts how often its own code runs."""

    def __init__(self) -> None:
        self.weight = torch.randn(8, 8)
        self.ran = 0

    def mixed(self, given: Pair, more: list[torch.Tensor]) -> torch.Tensor:
        self.ran += 1
        return (given.left @ self.weight + given.right).relu() * more[0].float()

    def rows(self, given: Pair, shift: torch.Tensor) -> torch.Tensor:
        return (given.left @ self.weight + given.right).relu() + shift

    def two(self, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return given @ self.weight, given


def given(rows: int) -> tuple[Pair, list[torch.Tensor]]:
    return Pair(torch.randn(rows, 8), torch.randn(8)), [torch.arange(8)]


def converter(
    model: Model,
    folder: Path | None = None,
    dtype: torch.dtype = torch.float32,
    identity: str = "weights",
) -> Converter:
    wide = Wide(model.mixed, common=(0, 1))
    return Converter(dtype, {model.mixed.__qualname__: wide}, folder, identity)


def test_a_graph_computes_the_same_for_every_shape():
    model = Model()
    graph = converter(model)(model.mixed)
    before = openvino.made()
    for rows in (2, 3, 2, 3):
        args = given(rows)
        torch.testing.assert_close(graph(*args), model.mixed(*args))
    assert openvino.made() - before == 2


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 4, 5])
def test_a_batch_in_halves_is_the_same_batch(rows: int, threads: int, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    model = Model()
    wide = {model.rows.__qualname__: Wide(model.rows, common=(1,))}
    graph = Converter(torch.float32, wide, None, "weights")(model.rows)
    args = Pair(torch.randn(rows, 3, 8), torch.randn(rows, 1, 1)), torch.randn(rows, 3, 8)[:1]
    torch.testing.assert_close(graph(*args), model.rows(*args))


def test_results_of_two_calls_do_not_share_memory():
    model = Model()
    graph = converter(model)(model.mixed)
    args, others = given(2), given(2)
    first = graph(*args)
    graph(*others)
    torch.testing.assert_close(first, model.mixed(*args))


def test_it_works_with_tensors_of_inference_mode_and_of_narrow_formats():
    model = Model()
    graph = converter(model, dtype=torch.bfloat16)(model.mixed)
    with torch.inference_mode():
        pair, more = given(2)
        pair = Pair(pair.left.bfloat16(), pair.right.bfloat16())
        result = graph(pair, more)
        expected = model.mixed(Pair(pair.left.float(), pair.right.float()), more)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), expected, rtol=0.05, atol=0.3)


def test_what_it_does_not_know_stays_as_it_is():
    model = Model()
    assert converter(model)(model.two) == model.two


def test_what_cannot_be_converted_is_said_in_a_sentence(monkeypatch):
    model = Model()
    monkeypatch.setattr(model, "weight", None)
    with pytest.raises(EngineError, match="OpenVINO cannot convert Model"):
        converter(model)(model.mixed)(*given(2))


def test_a_graph_on_disk_is_not_made_again(tmp_path: Path):
    model, args = Model(), given(2)
    expected = converter(model, tmp_path)(model.mixed)(*args)
    model.ran = 0
    again = converter(model, tmp_path)(model.mixed)(*args)
    assert torch.equal(again, expected)
    assert model.ran == 0


def test_graphs_of_other_weights_and_of_another_precision_are_others(tmp_path: Path):
    model, args = Model(), given(2)
    for one in (
        converter(model, tmp_path),
        converter(model, tmp_path, identity="other weights"),
        converter(model, tmp_path, torch.bfloat16),
    ):
        one(model.mixed)(*args)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_broken_file_is_made_anew(tmp_path: Path):
    model, args = Model(), given(2)
    expected = converter(model, tmp_path)(model.mixed)(*args)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert torch.equal(converter(model, tmp_path)(model.mixed)(*args), expected)
    assert len(file.read_bytes()) == len(whole)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_nano_paints_the_same_picture(dtype, monkeypatch, tmp_path: Path):
    monkeypatch.setenv(disk.VARIABLE, str(tmp_path))
    frames = sliding(4)
    prompt = [("as an oil painting", 1.0), ("as a pencil sketch", 1.0)]
    painted: list[list[np.ndarray]] = []
    for compile in (False, True):
        with Stylizer.load("nano", ModelConfig(compile=compile, dtype=dtype)) as stylizer:
            painted.append([])
            for wish in ("as an oil painting", prompt):
                with stylizer.open(wish, batch=2) as stream:
                    painted[-1] += [styled.frame.pixels for styled in stream.run(frames)]
    apart = np.abs(np.stack(painted[0]).astype(float) - np.stack(painted[1]))
    assert apart.mean() < (0.05 if dtype == "float32" else 2)
    assert list((tmp_path / "openvino").iterdir())


def test_an_adapter_that_is_written_to_is_left_to_torch(tmp_path: Path):
    loading = ModelConfig(compile=True)
    path = tmp_path / "adapter.safetensors"
    checkpoint.save(attached(load("nano", ModelConfig(adapter="none")).parts, loading), path, {})
    kinds: list[bool] = []
    for adapter in (str(path), "none"):
        with closing(build("nano", replace(loading, adapter=adapter))) as built:
            kinds.append(isinstance(built.lanes.main.faster, Converter))
    assert kinds == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.unet.register_to_config(norm_eps=1e-4),
        lambda parts: setattr(parts.text_encoder.config.text_config, "rms_norm_eps", 1e-4),
        lambda parts: parts.unet.conv_in.bias.add_(1),
        lambda parts: parts.scheduler.update(base_shift=0.7),
    ],
)
def test_whatever_a_graph_knows_belongs_to_its_name(change):
    config = ModelConfig(compile=True)
    found = load("nano", config)
    before = _converter(found, config).identity
    change(found.parts)
    assert _converter(found, config).identity != before


def test_in_the_background_a_function_goes_on_as_it_is_until_there_is_a_graph():
    model, background = Model(), Background()
    faster = Lane(converter(model), background).make(model.mixed)
    args = given(2)
    with background.quiet, torch.inference_mode():
        torch.testing.assert_close(faster(*args), model.mixed(*args))
    background.submit(lambda: None).result()
    model.ran = 0
    with torch.inference_mode():
        expected = model.mixed(*args)
        torch.testing.assert_close(faster(*args), expected)
    assert model.ran == 1
    background.close()


def test_a_signal_finds_a_stack_when_graphs_are_gone():
    """A process of its own, since what goes wrong ends it."""
    script = (
        "import gc, os, signal, torch\n"
        "from sidestream.models.openvino import Converter, Wide\n"
        "def square(x): return x @ x\n"
        "graph = Converter(torch.float32, {'square': Wide(square, common=(0,))}, None, '')(square)\n"
        "graph(torch.ones(4, 4)), graph(torch.ones(5, 5))\n"
        "del graph; gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('told'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "told\n"), run.stderr
