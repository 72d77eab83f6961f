"""The loss of the autoencoder, and the pieces of pictures it sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sidestream.train import autoencoder
from sidestream.train.autoencoder import AutoencoderLoss, as_floats, crops


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(autoencoder, "CROP", 32)


@pytest.fixture
def loss(parts, shelves) -> AutoencoderLoss:
    return AutoencoderLoss(parts.vae, list(shelves(48, 40).values()), batch=2, seed=0)


def test_encoder_and_decoder_learn_from_it(loss, parts):
    parts.vae.requires_grad_(True)
    try:
        value, figures = loss(0)
        value.backward()
        assert all(weight.grad.abs().sum() > 0 for weight in parts.vae.parameters())
    finally:
        parts.vae.requires_grad_(False).zero_grad()
    assert figures.keys() == {"psnr", "spread"}
    assert all(map(math.isfinite, figures.values()))


def test_a_step_is_the_same_whenever_it_is_taken(loss):
    first, other = (float(loss(step)[0]) for step in (0, 1))
    assert float(loss(0)[0]) == first != other


def test_crops_are_pieces_of_the_pictures():
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(1, 8, 8, 3)
    found = crops(picture, 20, 4, np.random.default_rng(0))
    assert found.shape == (20, 4, 4, 3)
    windows = {
        np.rot90(piece, turn)[:, ::mirror].tobytes()
        for top in range(5)
        for left in range(5)
        for turn in range(4)
        for mirror in (1, -1)
        for piece in (picture[0, top : top + 4, left : left + 4],)
    }
    assert {piece.tobytes() for piece in found} <= windows
    assert len({piece.tobytes() for piece in found}) > 10


def test_pixels_become_numbers_from_minus_one_to_one():
    floats = as_floats(np.array([[[[0, 51, 255]]]], np.uint8))
    assert floats.flatten().tolist() == pytest.approx([-1, -0.6, 1])
    assert floats.shape == (1, 3, 1, 1)
