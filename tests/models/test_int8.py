"""Eight-bit integers in graphs of OpenVINO's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sidestream import ModelConfig, Stylizer, disk, graphs
from sidestream.adapter import checkpoint
from sidestream.bench.footage import footage
from sidestream.build import attached, build, load
from sidestream.config import Size
from sidestream.errors import ConfigError
from sidestream.models import int8
from sidestream.models.openvino import Converter, Wide

SIZE = Size(128, 128)
PROMPT = "turn this into an anime drawing"
SHORT = ModelConfig(compile=True, int8=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stylizer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(disk.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        with Stylizer.load("nano", SHORT) as stylizer:
            yield stylizer


def painted(stylizer: Stylizer, steps: int, batch: int = 4) -> np.ndarray:
    with stylizer.open(PROMPT, size=SIZE, steps=steps, batch=batch) as stream:
        return np.stack([styled.pixels for styled in stream.run(list(footage(SIZE, 4)))])


def kernels(stylizer: Stylizer) -> list[tuple[str, str]]:
    """Kind and kernel of all that multiplies by weights in the U-Net's last graph."""
    advance: Any = stylizer.built.model._advance
    *_, graph = advance._graphs.values()
    running = graph._requests[0].get_compiled_model().get_runtime_model()
    about = [node.get_rt_info() for node in running.get_ordered_ops()]
    found = [(one["layerType"].astype(str), one["primitiveType"].astype(str)) for one in about]
    kinds = ("Convolution", "GroupConvolution", "Deconvolution", "FullyConnected")
    return [(kind, kernel) for kind, kernel in found if kind.startswith(kinds)]


def test_frames_are_those_of_float32_but_for_what_eight_bits_cost(short: Stylizer):
    with Stylizer.load("nano", ModelConfig(dtype="float32")) as exact:
        for steps in (1, 4):
            apart = painted(short, steps).astype(float) - painted(exact, steps)
            psnr = 10 * np.log10(255**2 / (apart**2).mean())
            assert 38 < psnr < 47  # bfloat16 has 50


@pytest.mark.parametrize("batch", [1, 4])
def test_the_denoiser_multiplies_integers_but_for_the_first_and_last_convolution(
    short: Stylizer, batch: int
):
    painted(short, steps=1, batch=batch)
    found = kernels(short)
    floats = [one for one in found if not one[1].lower().endswith("i8")]
    assert len(found) > 120 and len(floats) == 2, floats


def test_ranges_are_found_once_and_a_broken_file_is_made_anew(tmp_path: Path):
    weight, shown = torch.randn(64, 64) / 8, torch.randn(8, 64)
    asked: list[int] = []

    def times(given: torch.Tensor) -> torch.Tensor:
        return given @ weight @ weight @ weight

    def examples() -> list[tuple[torch.Tensor]]:
        asked.append(1)
        return [(shown,), (2 * shown,)]

    def graph() -> Any:
        wide = {times.__qualname__: Wide(times, shown=examples)}
        return Converter(torch.float32, wide, tmp_path, "weights")(times)

    exact = times(shown)
    for rows in (8, 4, 8):
        close = graph()(shown[:rows]) - exact[:rows]
        assert 0.001 < close.norm() / exact[:rows].norm() < 0.02
    assert len(asked) == 1

    (ranges,) = tmp_path.glob("*.ranges")
    whole = ranges.read_bytes()
    ranges.write_bytes(whole[:10])
    graph()(shown[:2])
    assert len(asked) == 2 and ranges.read_bytes() == whole


@pytest.mark.parametrize("ends", [(-0.28, 6.0), (-3.0, 4.0), (0.0, 0.0), (0.5, 2.0), (-5.0, -1.0)])
def test_zero_stays_zero(ends: tuple[float, float]):
    low, high = int8._range(*ends)
    step = (high - low) / 255
    assert low <= 0 < high and abs(-low / step - round(-low / step)) < 1e-6
    assert low <= ends[0] + step and high >= ends[1] - step


def test_what_cannot_be_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="int8 is for what is compiled: give --compile as well"):
        build("nano", ModelConfig(int8=True, device="cpu"))
    with pytest.raises(ConfigError, match="int8 is for a CPU, not for cuda"):
        graphs.check_int8(torch.device("cuda"), SHORT)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ConfigError, match="int8 needs a processor with instructions for it"):
        build("nano", SHORT)
    monkeypatch.setattr(graphs.openvino, "available", lambda: False)
    with pytest.raises(ConfigError, match="int8 needs OpenVINO: pip install openvino"):
        build("nano", SHORT)


def test_a_model_that_it_does_not_suit_is_refused(tmp_path: Path):
    path = tmp_path / "adapter.safetensors"
    checkpoint.save(attached(load("nano", ModelConfig(adapter="none")).parts, SHORT), path, {})
    for config in (
        ModelConfig(compile=True, int8=True, adapter=str(path)),
        ModelConfig(compile=True, int8=True, fp8=True, device="cpu"),
    ):
        with pytest.raises(ConfigError, match="int8 is for models of at most"):
            build("nano", config)
