"""The loss that the temporal adapter is trained with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sidestream.adapter.lllite import TrainedLinear
from sidestream.adapter.sites import host_linear
from sidestream.adapter.temporal import attach, randomise
from sidestream.config import Size
from sidestream.flow import Backward
from sidestream.synth import worlds
from sidestream.train.adapter import AdapterLoss, Habits, held
from sidestream.train.passages import Step, passages

SIZE = Size(32, 32)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory):
    def clip(index: int) -> Iterator[Step]:
        for moment in worlds.clip(index, SIZE, 3, cuts=False):
            yield moment.pixels, moment.flow, moment.revealed

    return passages(tmp_path_factory.mktemp("clips"), 2, 3, SIZE, clip, lambda done, total: None)


@pytest.fixture
def adapter(model, parts):
    adapter = attach(parts.unet, ("down_blocks",), 1, latent_stride=model.stride)
    randomise(adapter, seed=0)
    yield adapter
    adapter.detach()


@pytest.fixture
def loss_of(model, parts, adapter, clips, painters, instruct):
    def loss(seed: int = 0, **habits) -> AdapterLoss:
        kept = Habits(batch=2, **habits)
        decode = parts.vae.decoder
        return AdapterLoss(model, adapter, decode, clips, painters, instruct, kept, seed)

    return loss


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_the_adapter_alone_learns_from_it(loss_of, adapter, parts, own: float):
    value, figures = loss_of(own=own, absent=0.0)(0)
    value.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in adapter.weights().values())
    for module in (parts.unet, parts.vae, parts.text_encoder):
        assert all(weight.grad is None for weight in module.parameters())
    assert figures.keys() == {"held latent", "held picture"}


def test_a_denoiser_may_learn_along_without_having_met_the_running_form(loss_of, adapter, parts):
    adapter.detach()
    parts.unet.requires_grad_(True)
    loss_of(absent=0.0)(0)[0].backward()
    hosts = [host_linear(parts.unet, site.name) for site in adapter.sites]
    learned = [float(linear.weight.grad.abs().sum()) for linear in (*hosts, parts.unet.conv_in)]
    parts.unet.requires_grad_(False).zero_grad()
    assert all(learned)
    assert not any(isinstance(module, TrainedLinear) for module in parts.unet.modules())


def test_where_it_is_absent_it_has_no_say(loss_of, adapter):
    loss = loss_of(own=0.0, absent=1.0)
    value, _ = loss(0)
    value.backward()
    assert not any(weight.grad.any() for weight in adapter.weights().values())
    randomise(adapter, seed=1)
    assert float(loss(0)[0].detach()) == float(value.detach())
    present = loss_of(own=0.0, absent=0.0)
    assert float(present(0)[0].detach()) != float(value.detach())


def test_a_step_is_the_same_whenever_it_is_taken(loss_of):
    def number(loss: AdapterLoss, step: int) -> float:
        return float(loss(step)[0].detach())

    loss = loss_of()
    assert number(loss, 5) == number(loss, 5) == number(loss_of(), 5)
    assert len({number(loss, 5), number(loss, 6), number(loss_of(seed=1), 5)}) == 3


def test_the_engine_gets_its_running_form_back(loss_of, parts):
    before = [type(module) for module in parts.unet.modules()]
    loss_of(own=1.0)(0)
    assert [type(module) for module in parts.unet.modules()] == before


def moved(revealed: slice) -> Backward:
    """Eight pixels to the right; some columns came into view."""
    flow = np.zeros((32, 64, 2), np.float32)
    flow[..., 0] = -8
    hidden = np.zeros((32, 64), np.bool_)
    hidden[:, revealed] = True
    return Backward(flow, hidden)


def test_the_earlier_painting_is_held_where_it_can_be_known():
    before, fresh = np.zeros((2, 32, 64, 3), np.uint8)
    before[:, 24:32] = 200
    given = held(before, fresh, moved(slice(0, 8)), 0.75)
    assert (given.dtype, given.shape) == (np.uint8, fresh.shape)
    assert (given[:, 35:37] == 150).all()
    assert (given[:, 44:] == 0).all()


def test_what_came_into_view_is_painted_afresh():
    before = np.full((32, 64, 3), 200, np.uint8)
    fresh = np.full((32, 64, 3), 40, np.uint8)
    given = held(before, fresh, moved(slice(0, 16)), 0.75)
    assert (given[:, :8] == 40).all()
    assert (given[:, 30:] == 160).all()
    edge = given[0, :, 0].astype(int)
    assert (np.diff(edge) >= 0).all()


def test_nothing_is_held_by_no_will():
    before, fresh = (np.full((32, 64, 3), level, np.uint8) for level in (200, 40))
    assert (held(before, fresh, moved(slice(0, 0)), 0.0) == fresh).all()
