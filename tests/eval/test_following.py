"""Distance in look: near where a painting is a little worse, far where it is another or has lost its strokes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sidestream.config import Size
from sidestream.eval.following import Ruler, nearest, paintings
from sidestream.synth.styles import STYLES
from sidestream.synth.worlds import picture
from sidestream.types import Pixels

TRAINED = [style.name for style in STYLES.values() if style.trained]


@pytest.fixture(scope="module")
def painted() -> dict[str, Pixels]:
    return paintings(picture(11, Size(256, 256)))


@pytest.fixture(scope="module")
def ruler(painted: dict[str, Pixels]) -> Ruler:
    return Ruler.of(painted)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))


def jpeg(pixels: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def decoded(pixels: Pixels) -> Pixels:
    """About what a small autoencoder leaves."""
    noise = np.random.default_rng(0).normal(0, 4, pixels.shape)
    return (blur(pixels, 0.6) + noise).clip(0, 255).astype(np.uint8)


def test_all_trained_styles_are_told_apart(painted: dict[str, Pixels]):
    assert list(painted) == TRAINED and "identity" in painted


@pytest.mark.parametrize("worsen", [lambda pixels: blur(pixels, 0.8), jpeg, decoded])
@pytest.mark.parametrize("style", TRAINED)
def test_a_painting_is_nearest_to_itself_also_when_it_suffered(painted, ruler, style, worsen):
    found = ruler.distances(worsen(painted[style]))
    assert nearest(found) == style
    assert found[style] < 0.5


@pytest.mark.parametrize("style", TRAINED)
def test_the_same_is_at_no_distance(painted, ruler, style):
    assert ruler.distances(painted[style])[style] == 0
    assert ruler.between(painted[style], painted[style]) == 0


@pytest.mark.parametrize("style", ["oil", "watercolor", "pencil", "anime", "render3d"])
def test_blur_is_seen_the_more_the_stronger(painted, ruler, style):
    target = painted[style]
    found = [ruler.between(blur(target, sigma), target) for sigma in (0.5, 1, 2, 4)]
    assert found == sorted(found)
    assert found[-1] > 0.6 * ruler.between(painted["identity"], target)


def test_the_mean_of_all_styles_is_none_of_them(painted, ruler):
    mean = np.mean(list(painted.values()), axis=0).astype(np.uint8)
    assert min(ruler.distances(mean).values()) > 0.3


def test_colour_and_strokes_count_alone(painted, ruler):
    target = painted["oil"]
    turned = np.ascontiguousarray(target[..., ::-1])
    noisy = target + np.random.default_rng(0).integers(-25, 25, target.shape)
    for worse in (turned, noisy.clip(0, 255).astype(np.uint8)):
        assert ruler.between(worse, target) > 0.2


def test_distance_is_symmetric_and_one_on_average(painted, ruler):
    apart = {name: ruler.distances(pixels) for name, pixels in painted.items()}
    others = [apart[one][other] for one in apart for other in apart if one != other]
    assert np.mean(others) == pytest.approx(1, abs=0.05)
    assert apart["oil"]["cold"] == apart["cold"]["oil"]


def test_pictures_without_anything_in_them_can_be_compared():
    grey = np.full((64, 64, 3), 128, np.uint8)
    ruler = Ruler.of({"one": grey, "other": grey})
    assert ruler.distances(grey) == {"one": 0, "other": 0}


def test_held_out_styles_are_painted_apart():
    names = set(paintings(picture(3, Size(64, 64)), trained=False))
    assert names == {"van_gogh", "ukiyo_e", "comic"}
