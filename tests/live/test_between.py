"""Which pictures have something between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.live.between import LONGEST, Dissolve, mixed
from sidestream.live.studio import Shown
from sidestream.synth.worlds import clip, picture


@pytest.fixture(scope="module")
def scenes() -> list[Shown]:
    """Two neighbours of one scene, and a picture of another."""
    one, two = [moment.pixels for moment in clip(1, Size(128, 96), 2, cuts=False)]
    three = picture(2, Size(128, 96))
    return [Shown(pixels, 1 + n / 10, n, 0) for n, pixels in enumerate([one, two, three])]


def test_neighbours_of_a_scene_are_joined_and_a_cut_is_not(scenes):
    dissolve = Dissolve()
    for _ in range(2):
        assert dissolve.joins(*scenes[:2])
        assert not dissolve.joins(*scenes[1:])


@pytest.mark.parametrize(
    "other",
    [
        {"origin": "source"},
        {"origin": "held"},
        {"stamp": 1.0 + LONGEST + 0.01},
        {"stamp": 1.0},
        {"pixels": np.zeros((8, 8, 3), np.uint8)},
    ],
)
def test_what_is_not_restyled_or_too_far_apart_is_not_joined(scenes, other):
    first, second, _ = scenes
    assert not Dissolve().joins(first, replace(second, **other))


def test_a_mixture_is_as_near_as_its_share():
    dark, light = np.full((4, 4, 3), 20, np.uint8), np.full((4, 4, 3), 220, np.uint8)
    assert [int(mixed(dark, light, share)[0, 0, 0]) for share in (0, 0.25, 1)] == [20, 70, 220]
