"""The loss that encoder and denoiser are trained with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sidestream.config import Size
from sidestream.train import nano
from sidestream.train.guidance import Guidance
from sidestream.train.lessons import Lessons, Meal
from sidestream.train.nano import RestyleLoss, Weights

MEAL = Meal(Size(32, 32), 2)


@pytest.fixture(autouse=True)
def trainable(parts) -> Iterator[None]:
    modules = (parts.unet, parts.text_encoder)
    for module in modules:
        module.requires_grad_(True)
    yield
    for module in modules:
        module.requires_grad_(False).zero_grad()


@pytest.fixture
def loss_of(model, parts, shelves, painters, instruct):
    lessons = Lessons(
        model, [shelves(64, 64)], painters, {"negative": 1.0, "identity": 1.0}, instruct, 0
    )
    guidance = Guidance(parts.unet, ("up_blocks.1",), 16)

    def loss(**weights) -> RestyleLoss:
        decode = parts.vae.decoder
        return RestyleLoss(
            model, lessons, lambda step: MEAL, guidance, decode, Weights(**weights), 0
        )

    return loss


def number(loss: RestyleLoss, step: int = 1) -> float:
    return float(loss(step)[0].detach())


def test_both_networks_learn_from_it_and_the_autoencoder_does_not(loss_of, parts):
    value, _ = loss_of(pixels=1.0)(0)
    value.backward()
    for module in (parts.unet.conv_in, parts.unet.encoder_hid_proj):
        assert all(weight.grad.abs().sum() > 0 for weight in module.parameters())
    language = parts.text_encoder.model.language_model
    assert language.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0
    assert parts.text_encoder.model.visual.patch_embed.proj.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in parts.vae.parameters())


def test_a_step_is_the_same_whenever_it_is_taken(loss_of):
    loss = loss_of()
    assert number(loss, 3) == number(loss, 3) == number(loss_of(), 3)
    assert number(loss, 3) != number(loss, 4)


def test_every_so_many_steps_train_a_second_step(loss_of):
    often, never = loss_of(refine_every=2), loss_of(refine_every=0)
    assert ["refined" in often(step)[1] for step in range(4)] == [True, False, True, False]
    assert not any("refined" in never(step)[1] for step in range(2))
    assert number(often, 2) > number(never, 2)
    assert number(often, 1) == number(never, 1)


def test_pixels_count_as_much_as_they_weigh(loss_of):
    none, once, twice = (number(loss_of(pixels=weight)) for weight in (0.0, 1.0, 2.0))
    assert once > none
    assert twice - once == pytest.approx(once - none, rel=1e-3)
    assert "picture" in loss_of(pixels=1.0)(1)[1]
    assert "picture" not in loss_of()(1)[1]


def test_a_decoder_learns_along_from_the_painting_itself(loss_of, parts):
    without, once, twice = (number(loss_of(round_trip=weight)) for weight in (0.0, 1.0, 2.0))
    assert once > without
    assert twice - once == pytest.approx(once - without, rel=1e-3)
    parts.vae.decoder.requires_grad_(True)
    loss_of(round_trip=1.0)(0)[0].backward()
    grown = [weight.grad for weight in parts.vae.decoder.parameters()]
    parts.vae.requires_grad_(False).zero_grad()
    assert all(grad.abs().sum() > 0 for grad in grown)


def test_strokes_are_part_of_what_pixels_weigh(loss_of):
    plain, rough = (number(loss_of(pixels=1.0, texture=weight)) for weight in (0.0, 2.0))
    assert rough > plain
    assert number(loss_of(pixels=0.0, texture=0.0)) == number(loss_of(pixels=0.0, texture=2.0))


def test_attention_counts_as_much_as_it_weighs(loss_of):
    value, figures = loss_of(guidance=0.5)(1)
    without, fewer = loss_of(guidance=0.0)(1)
    assert "attention" not in fewer
    assert float((value - without).detach()) == pytest.approx(0.5 * figures["attention"], rel=1e-3)


def test_noise_may_be_paired_with_paintings(loss_of, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nano, "least_distance", lambda data, noise: torch.tensor([1, 0]))
    assert number(loss_of(immiscible=True)) != number(loss_of())
    monkeypatch.setattr(nano, "least_distance", lambda data, noise: torch.tensor([0, 1]))
    assert number(loss_of(immiscible=True)) == number(loss_of())
