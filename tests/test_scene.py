"""What motion measures, and that only cuts go unexplained."""

from __future__ import annotations

import sys
from itertools import pairwise
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config import Schedule, Size
from sidestream.scene import SIDE, compare, thumbnail
from sidestream.synth.scenes import demo_clip, scene
from sidestream.types import Change

CUT = Schedule().cut_threshold
SIZE = Size(256, 256)


def picture(seed: int, size: Size = SIZE) -> np.ndarray:
    return next(scene(seed, size, 1))[0]


def changed(before: np.ndarray, after: np.ndarray) -> Change:
    return compare(thumbnail(before), thumbnail(after))


def window(wide: np.ndarray, x: int, y: int = 0) -> np.ndarray:
    return wide[y : y + 256, x : x + 256]


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return picture(3, Size(512, 512))


@given(st.integers(16, 400), st.integers(16, 400))
def test_a_thumbnail_is_small_and_grey_whatever_the_picture(height, width):
    cells = thumbnail(np.full((height, width, 3), (255, 0, 0), np.uint8))
    assert cells.shape == (SIDE, SIDE)
    assert cells.dtype == np.float32
    assert np.allclose(cells, 0.299 * 255, atol=0.01)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_fine_stripes_are_grey_and_do_not_flicker_when_they_move(width):
    stripes = np.zeros((512, 512 + width, 3), np.uint8)
    stripes[:, np.arange(512 + width) // width % 2 == 0] = 200
    cells = thumbnail(stripes[:, :512]), thumbnail(stripes[:, width:])
    assert np.mean(cells, (1, 2)) == pytest.approx([100, 100], abs=8)


def test_a_still_picture_does_not_change():
    assert changed(picture(1), picture(1)) == Change(0, 0)


@pytest.mark.parametrize("x", [1, 3, 6, 9, 14, 25, 50, 100])
def test_motion_is_the_shift_in_frame_widths(wide, x):
    change = changed(window(wide, x, 20), window(wide, 0, 20))
    assert change.motion == pytest.approx(x / 256, rel=0.25)
    assert change.unexplained < CUT


@given(st.integers(-60, 60), st.integers(-60, 60))
def test_a_shake_is_explained(wide, x, y):
    assert changed(window(wide, 100, 100), window(wide, 100 + x, 100 + y)).unexplained < CUT


@given(st.floats(0.6, 1.6), st.integers(-40, 40))
def test_another_exposure_is_explained(gain, offset):
    # Away from black and white, where exposure would clip.
    before = 70 + 0.35 * picture(2)
    after = (gain * (before - 128) + 128 + offset).clip(0, 255)
    assert changed(before.astype(np.uint8), after.astype(np.uint8)).unexplained < 0.1


def test_motion_counts_brightness():
    dark, bright = np.full((64, 64, 3), 51, np.uint8), np.full((64, 64, 3), 153, np.uint8)
    assert changed(dark, bright).motion == pytest.approx(0.4, abs=0.01)
    assert changed(dark, bright).unexplained == 0


def test_a_thing_that_moves_before_a_still_camera_is_motion():
    still = picture(0)
    little, much = still.copy(), still.copy()
    little[40:72, 40:72] = still[40:72, 48:80]
    much[40:168, 40:168] = still[40:168, 48:176]
    motions = [changed(still, moved).motion for moved in (still, little, much)]
    assert 0 == motions[0] < motions[1] < motions[2] < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_a_moving_scene_has_no_cuts(seed):
    thumbnails = [thumbnail(pixels) for pixels, _ in scene(seed, SIZE, 9)]
    assert all(compare(*pair).unexplained < 0.2 for pair in pairwise(thumbnails))
    assert all(compare(*pair).unexplained < CUT for pair in pairwise(thumbnails[::4]))


@pytest.mark.parametrize("seed", range(6))
def test_another_scene_is_a_cut(seed):
    assert changed(picture(seed), picture(seed + 1)).unexplained > CUT


def test_a_cut_is_seen_in_the_dark():
    dark = [(0.25 * picture(seed)).astype(np.uint8) for seed in (0, 1)]
    assert changed(*dark).unexplained > CUT


def test_the_first_picture_after_black_is_a_cut():
    assert changed(np.zeros((256, 256, 3), np.uint8), picture(0)).unexplained > CUT


@given(st.integers(0, 10_000), st.sampled_from([0, 1, 20, 255]), st.sampled_from([0, 1, 20, 255]))
def test_any_two_pictures_can_be_compared(seed, one, other):
    random = np.random.default_rng(seed)
    pictures = (random.integers(0, top + 1, (64, 96, 3), np.uint8) for top in (one, other))
    change = changed(*pictures)
    assert 0 <= change.motion < 100
    assert 0 <= change.unexplained <= 1


def test_a_white_flash_is_a_cut_both_ways():
    white = np.full((256, 256, 3), 255, np.uint8)
    assert min(changed(picture(0), white).unexplained, changed(white, picture(0)).unexplained) > CUT


def test_the_demo_clip_has_one_cut():
    thumbnails = [thumbnail(frame.pixels) for frame in demo_clip(Size(256, 160), rate=12)]
    cuts = [compare(*pair).unexplained > CUT for pair in pairwise(thumbnails)]
    assert np.flatnonzero(cuts).tolist() == [23]


def test_it_works_without_opencv():
    code = "import sys; sys.modules['cv2'] = None; import numpy as np; from sidestream.scene import *; compare(*[thumbnail(np.zeros((64, 64, 3), np.uint8))] * 2)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
