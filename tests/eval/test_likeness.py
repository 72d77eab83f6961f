"""Whether a picture shows what another shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pictures import sliding
from sidestream.config import Size
from sidestream.eval.likeness import edges, ssim
from sidestream.synth.worlds import picture
from sidestream.types import Pixels


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return picture(2, Size(96, 96))


@pytest.mark.parametrize("measure", [ssim, edges])
def test_equal_pictures_are_fully_alike(measure, pixels):
    assert measure(pixels, pixels) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("measure", [ssim, edges])
def test_other_pictures_are_hardly_alike(measure, pixels):
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape).astype(np.uint8)
    assert measure(pixels, noise) < 0.2


@pytest.mark.parametrize("measure", [ssim, edges])
def test_the_worse_the_less_alike(measure, pixels):
    found = [measure(pixels, np.asarray(cv2.GaussianBlur(pixels, (0, 0), s))) for s in (0.5, 2, 6)]
    assert found == sorted(found, reverse=True)


def test_edges_are_where_they_are_whatever_their_strength_and_colour(pixels):
    faint = (96 + pixels * 0.4).astype(np.uint8)
    assert edges(pixels, faint) > 0.97
    assert edges(pixels, 255 - pixels) > 0.97
    moved = np.roll(pixels, 9, axis=1)
    assert edges(pixels, moved) < 0.6


def test_ssim_is_the_known_value_of_a_shift_in_brightness():
    a, b = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 120, np.uint8)
    c = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 120 + c) / (100**2 + 120**2 + c), rel=1e-4)


def test_a_flat_picture_has_no_edges_to_agree():
    flat = np.full((64, 96, 3), 9, np.uint8)
    assert edges(flat, sliding(1)[0]) == 0
