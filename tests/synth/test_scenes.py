"""Scenes repeat exactly, and their flow is what their pixels do."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidestream.config import Size
from sidestream.flow import gather, targets_of
from sidestream.synth import layers, scenes

SMALL = Size(160, 96)


def clip(size: Size = SMALL, seconds: float = 1.0) -> list[np.ndarray]:
    return [frame.pixels for frame in scenes.demo_clip(size, seconds, rate=8)]


def test_a_scene_is_the_same_on_every_run_and_another_with_another_seed():
    one, again, other = (list(scenes.scene(seed, SMALL, 2)) for seed in (4, 4, 5))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(one, again, strict=True))
    assert np.abs(one[0][0].astype(int) - other[0][0]).mean() > 20


@pytest.mark.parametrize("seed", range(5))
def test_warping_by_a_scenes_flow_gives_the_next_frame(seed):
    frames = list(scenes.scene(seed, Size(192, 160), 5))
    for (old, _), (new, flow) in pairwise(frames):
        moved = gather(old.astype(np.float32), *targets_of(flow))
        still, warped = (np.abs(shown - new.astype(np.float32)).mean() for shown in (old, moved))
        assert warped < 0.6 * still


def test_only_a_first_frame_has_no_flow():
    flows = [flow for _, flow in scenes.scene(0, SMALL, 3)]
    assert [flow is None for flow in flows] == [True, False, False]
    assert flows[1].shape == (96, 160, 2)
    assert flows[1].dtype == np.float32


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([(32, 32), (64, 160), (160, 64)]))
def test_every_scene_fills_the_picture_and_moves_moderately(seed, sides):
    for pixels, flow in scenes.scene(seed, Size(*sides), 3):
        assert pixels.shape == (sides[1], sides[0], 3)
        assert pixels.any(-1).all()
        assert flow is None or np.abs(flow).max() < 0.1 * max(sides)


def test_the_ground_stays_in_view_for_long():
    assert all(pixels.any(-1).all() for pixels, _ in scenes.scene(9, Size(64, 32), 400))


def test_the_demo_clip_is_the_same_on_every_run():
    assert all(np.array_equal(a, b) for a, b in zip(clip(), clip(), strict=True))


def test_the_demo_clip_has_the_length_and_times_asked_for():
    frames = list(scenes.demo_clip(SMALL, seconds=1.5, rate=6))
    assert [frame.index for frame in frames] == [frame.pts for frame in frames] == list(range(9))
    assert frames[3].seconds == 0.5
    assert frames[0].time_base == Fraction(1, 6)


def test_the_demo_clip_cuts_in_the_middle_and_moves_elsewhere():
    changes = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(clip())]
    assert np.argmax(changes) == 3
    assert min(changes) > 0.3
    assert max(changes) > 3 * sorted(changes)[-2]


@pytest.mark.parametrize("size", [Size(96, 96), Size(64, 128), Size(512, 288)])
def test_the_demo_clip_fills_any_size(size):
    for pixels in clip(size, seconds=0.5):
        assert pixels.shape == (size.height, size.width, 3)
        assert pixels.any(-1).all()


def test_the_test_pattern_tells_frames_apart():
    first, second = scenes.test_pattern(SMALL, 0), scenes.test_pattern(SMALL, 1)
    assert np.array_equal(first, scenes.test_pattern(SMALL, 160 // 4))
    assert (first[:, :4] == 255).all()
    assert (second[:, 4:8] == 255).all()
    assert first[0, 30].tolist() == [191, 191, 0]


def test_a_layer_hides_what_is_behind_it_by_its_cover():
    back = layers.Layer(4, 4, 8, lambda _: np.eye(3))
    back.paint(1, (0, 0, 200))
    front = layers.Layer(4, 4, 8, lambda time: layers.place(time, 0))
    front.box(0, 0, 2, 4, (200, 0, 0))
    pixels = layers.compose([back, front], 1, Size(32, 32))
    assert pixels[16, [4, 16, 28]].tolist() == [[0, 0, 200], [200, 0, 0], [0, 0, 200]]


def test_a_place_turns_about_its_pivot():
    turned = layers.place(5, 7, np.pi / 2, 2, pivot=(1, 1))
    assert np.allclose(turned @ (1, 1, 1), (5, 7, 1))
    assert np.allclose(turned @ (2, 1, 1), (5, 9, 1))
