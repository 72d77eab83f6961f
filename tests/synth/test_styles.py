"""Styles repeat exactly, differ clearly, keep the picture readable and move with it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.synth import scenes
from sidestream.synth.styles import STYLES
from sidestream.types import Pixels

DRAWN = ("oil", "watercolor", "pencil", "anime", "render3d")
GRADED = ("night", "sunset", "monochrome", "warm", "cold", "invert")
HELD_OUT = ("van_gogh", "ukiyo_e", "comic")
EVERY = pytest.mark.parametrize("name", list(STYLES))


def paint(name: str, pixels: Pixels, seed: int = 0) -> Pixels:
    return STYLES[name].paint(pixels, seed)


def levels_apart(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def flat(colour: tuple[int, int, int], height: int = 64, width: int = 64) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """A landscape of the demo clip with coarse marks on it, as a photograph would have."""
    clean = next(iter(scenes.demo_clip(Size(256, 256), 1.0, rate=1))).pixels
    coarse = np.random.default_rng(0).normal(0, 14, (32, 32, 1))
    marks = np.kron(coarse, np.ones((8, 8, 1)))
    return np.clip(clean + marks, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def paintings(picture: Pixels) -> dict[str, Pixels]:
    return {name: paint(name, picture) for name in STYLES}


def test_the_held_out_styles_are_not_trained():
    assert {name for name, style in STYLES.items() if not style.trained} == set(HELD_OUT)
    assert set(STYLES) == {"identity", *DRAWN, *GRADED, *HELD_OUT}
    assert all(style.name == name for name, style in STYLES.items())


@EVERY
@pytest.mark.parametrize("seed", [0, 5])
def test_a_painting_is_the_same_on_every_run_and_leaves_its_input_alone(name, seed, picture):
    before = picture.copy()
    assert np.array_equal(paint(name, picture, seed), paint(name, picture, seed))
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", DRAWN + HELD_OUT)
def test_another_seed_is_a_mild_variation_of_the_same_style(name, picture, paintings):
    varied = paint(name, picture, seed=5)
    to_input = levels_apart(paintings[name], picture)
    assert 0 < levels_apart(varied, paintings[name]) < 0.4 * to_input


@EVERY
@pytest.mark.parametrize(
    ("height", "width"), [(32, 32), (33, 47), (64, 40), (97, 256), (300, 180), (512, 96)]
)
def test_any_size_is_painted_at_its_own_size(name, height, width):
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    painted = paint(name, noise)
    assert painted.shape == noise.shape
    assert painted.dtype == np.uint8


@EVERY
@pytest.mark.parametrize("order", [np.flip, lambda a: a[:, ::2], lambda a: a.transpose(1, 0, 2)])
def test_views_into_a_picture_are_painted_like_copies(name, order, picture):
    view = order(picture[:64, :96])
    assert np.array_equal(paint(name, view), paint(name, np.ascontiguousarray(view)))


@pytest.mark.parametrize("name", [name for name in STYLES if name != "comic"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (40, 180, 90)])
def test_a_flat_picture_stays_flat(name, colour):
    painted = paint(name, flat(colour)).astype(int)
    assert np.ptp(painted.reshape(-1, 3), axis=0).max() <= 1


@pytest.mark.parametrize("name", DRAWN)
def test_faint_noise_is_not_made_louder_pixel_by_pixel(name):
    noise = np.random.default_rng(2).normal(128, 2, (128, 128, 3)).clip(0, 255).astype(np.uint8)

    def roughness(pixels: Pixels) -> float:
        return float(np.abs(np.diff(pixels.astype(int), axis=1)).mean())

    assert roughness(paint(name, noise)) < 1.2 * roughness(noise)


def test_identity_changes_nothing_and_hands_out_a_copy(picture):
    same = paint("identity", picture)
    assert np.array_equal(same, picture)
    assert not np.shares_memory(same, picture)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_style_is_far_from_its_input(name, picture, paintings):
    assert levels_apart(paintings[name], picture) > 20


@pytest.mark.parametrize("name", GRADED + HELD_OUT)
def test_the_other_styles_are_seen_at_once_too(name, picture, paintings):
    assert levels_apart(paintings[name], picture) > 12


def test_no_two_styles_look_alike(paintings):
    for one, other in combinations(STYLES, 2):
        assert levels_apart(paintings[one], paintings[other]) > 15, (one, other)


@pytest.mark.parametrize("name", [name for name in STYLES if name != "invert"])
def test_what_was_lighter_stays_lighter(name, picture, paintings):
    def coarse(pixels: Pixels) -> np.ndarray:
        return pixels.mean(-1).reshape(32, 8, 32, 8).mean((1, 3)).ravel()

    assert np.corrcoef(coarse(picture), coarse(paintings[name]))[0, 1] > 0.7


@pytest.mark.parametrize("name", [name for name in STYLES if name != "comic"])
def test_a_painting_moves_with_its_picture(name, picture):
    here, moved = paint(name, picture[:, :-2]), paint(name, picture[:, 2:])
    inside = slice(40, -40)
    still = levels_apart(here[inside, inside], moved[inside, inside])
    followed = levels_apart(here[:, 2:][inside, inside], moved[:, :-2][inside, inside])
    assert followed < 0.5
    assert followed < 0.3 * still


@pytest.mark.parametrize("name", DRAWN)
def test_a_mark_reaches_no_further_than_the_network_sees(name, picture):
    touched = picture.copy()
    touched[124:132, 124:132] = 255 - touched[124:132, 124:132]
    change = np.abs(paint(name, touched).astype(int) - paint(name, picture)).max(-1)
    rows, columns = np.nonzero(change > 4)
    assert max(np.abs(rows - 128).max(), np.abs(columns - 128).max()) < 32


@pytest.mark.parametrize("name", DRAWN)
def test_nearly_equal_frames_give_nearly_equal_paintings(name, picture, paintings):
    brighter = np.clip(picture.astype(int) + 2, 0, 255).astype(np.uint8)
    assert levels_apart(paint(name, brighter), paintings[name]) < 3


@pytest.mark.parametrize("name", DRAWN)
def test_a_larger_picture_is_painted_alike(name, picture, paintings):
    double = np.kron(picture, np.ones((2, 2, 1), np.uint8))
    halved = paint(name, double).reshape(256, 2, 256, 2, 3).mean((1, 3)).astype(np.uint8)
    assert levels_apart(halved, paintings[name]) < 0.15 * levels_apart(paintings[name], picture)


def test_pencil_and_monochrome_hold_no_colour(paintings):
    assert np.ptp(paintings["monochrome"].astype(int), axis=-1).max() == 0
    assert np.ptp(paintings["pencil"].astype(int), axis=-1).max() < 12


def test_invert_twice_is_the_picture(picture):
    assert np.array_equal(paint("invert", paint("invert", picture)), picture)


def test_grades_do_what_they_say(picture, paintings):
    mean = {name: paintings[name].mean((0, 1)) for name in STYLES}
    red, blue = picture.mean((0, 1))[[0, 2]]
    assert mean["warm"][0] - mean["warm"][2] > red - blue + 20
    assert mean["cold"][2] - mean["cold"][0] > blue - red + 20
    assert mean["sunset"][0] > mean["sunset"][2] + 40
    assert mean["night"].mean() < 0.65 * picture.mean()
    assert mean["night"][2] > mean["night"][0]
