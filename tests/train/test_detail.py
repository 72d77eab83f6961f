"""The loss that the detail adapter is trained with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sidestream.adapter.detail import TemporalDetail
from sidestream.config import Size
from sidestream.synth import worlds
from sidestream.train.detail import DetailHabits, DetailLoss
from sidestream.train.passages import Step, passages

SIZE = Size(32, 32)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory):
    def clip(index: int) -> Iterator[Step]:
        for moment in worlds.clip(index, SIZE, 5, cuts=False):
            yield moment.pixels, moment.flow, moment.revealed

    return passages(tmp_path_factory.mktemp("clips"), 2, 5, SIZE, clip, lambda done, total: None)


@pytest.fixture
def loss_of(model, clips, instruct):
    def made(detail: TemporalDetail, seed: int = 0) -> DetailLoss:
        styles = ("negative", "identity")
        return DetailLoss(model, detail, clips, styles, instruct, DetailHabits(batch=2), seed)

    return made


def test_the_adapter_alone_learns_from_it(loss_of, parts):
    detail = TemporalDetail()
    torch.nn.init.normal_(detail.trust.weight)
    value, figures = loss_of(detail)(0)
    value.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in detail.parameters())
    for module in (parts.unet, parts.vae, parts.text_encoder):
        assert all(weight.grad is None for weight in module.parameters())
    assert figures.keys() == {"held", "dull"}


def test_a_step_is_the_same_whenever_it_is_taken(loss_of):
    def number(loss: DetailLoss, step: int) -> float:
        return float(loss(step)[0].detach())

    detail = TemporalDetail()
    loss = loss_of(detail)
    assert number(loss, 5) == number(loss, 5) == number(loss_of(detail), 5)
    assert len({number(loss, 5), number(loss, 6), number(loss_of(detail, seed=1), 5)}) == 3


def test_to_hold_on_is_what_it_asks_for(loss_of):
    def held(trust: float) -> float:
        detail = TemporalDetail().requires_grad_(False)
        detail.trust.bias.fill_(trust)
        return sum(float(loss_of(detail)(step)[1]["held"]) for step in range(3))

    assert held(20.0) < 0.8 * held(-20.0)
