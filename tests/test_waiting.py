"""Nothing that is launched in the steady state waits for the device.

On the meta device there are no numbers: whoever asks for one, by a copy to the host, a mask that picks rows, or a shape that
depends on them, gets an error, where a GPU would have the host wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import lively
from pictures import sliding
from sidestream import Stylizer
from sidestream.adapter.detail import TemporalDetail
from sidestream.batching import consecutive
from sidestream.build import assemble, attached
from sidestream.config import ModelConfig, Schedule
from sidestream.models import zoo
from sidestream.prepare import Preparer
from sidestream.render import Rendered, Renderer
from sidestream.timing import Spans
from sidestream.types import Prepared, Styled

META = torch.device("meta")


class Unread(Renderer):
    """Leaves the pixels where they are: on CUDA their way to the host is a copy that nobody waits for."""

    def _fetch(self, prepared: Prepared, result: torch.Tensor, finite: torch.Tensor) -> Rendered:
        return Rendered(prepared, result, finite, None)


@pytest.fixture(scope="module", params=["in the denoiser", "behind the decoder"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Stylizer]:
    parts = lively.components().to(META, torch.bfloat16)
    config = ModelConfig()
    inside = request.param == "in the denoiser"
    adapter = attached(parts, config) if inside else TemporalDetail().to(META)
    with Stylizer(assemble(zoo.find("nano"), parts, adapter, config)) as stylizer:
        yield stylizer


@pytest.mark.parametrize("flow", ["dis", "dense"])
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (4, 2)])
def test_no_stage_of_a_batch_waits(loaded: Stylizer, batch: int, steps: int, flow: str):
    built = loaded.built
    schedule = Schedule(text_every=3 * batch, cond_every=2 * batch)
    prepare = Preparer(built.model, META, torch.bfloat16, Spans())
    render = Unread(built.model, built.engine.adapter, META, Spans(), built.engine.detail)
    with (
        torch.inference_mode(),
        loaded.open(
            "ink", size="128x64", batch=batch, steps=steps, flow=flow, blend=0.5, schedule=schedule
        ) as stream,
    ):
        frames = stream.frames(sliding(4 * batch, width=128, height=64))
        for formed in consecutive(frames, stream.stream, batch, loaded.fit):
            rendered = render(prepare(built.engine.observe(formed)))
            assert rendered.pixels_BHWC.device == META
            assert rendered.pixels_BHWC.shape == (batch, 64, 128, 3)
            with pytest.raises((RuntimeError, NotImplementedError)):
                rendered.finite_B.tolist()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("flow", ["dis", "dense"])
@pytest.mark.parametrize("capture", [True, False])
def test_on_a_gpu_no_steady_batch_waits(capture: bool, flow: str):
    """Torch raises where a call waits for the device; that the pixels of a batch are done is waited for by its event."""
    config = ModelConfig(device="cuda", capture=capture)
    with (
        Stylizer.load("nano", config) as stylizer,
        stylizer.open("ink", size="128x64", batch=4, flow=flow) as stream,
    ):
        assert len(list(stream.run(sliding(16, width=128, height=64)))) == 16
        torch.cuda.set_sync_debug_mode("error")
        try:
            assert len(list(stream.run(sliding(32, width=128, height=64)))) == 32
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("adapter", ["default", "none"])
@pytest.mark.parametrize("batch", [1, 4])
def test_on_a_gpu_graphs_change_no_pixel_by_more_than_a_level(batch: int, adapter: str):
    shown: list[list[Styled]] = []
    for capture in (False, True):
        config = ModelConfig(device="cuda", dtype="float32", capture=capture, adapter=adapter)
        with (
            Stylizer.load("nano", config) as stylizer,
            stylizer.open("ink", size="128x64", batch=batch, flow="dense") as stream,
        ):
            shown.append(list(stream.run(sliding(24, width=128, height=64))))
    for eager, captured in zip(*shown, strict=True):
        assert np.abs(eager.pixels.astype(int) - captured.pixels).max() <= 1
