from __future__ import annotations

import subprocess
import sys
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config import SIZE_MULTIPLE, Size
from sidestream.media.pixels import coarser, fit, resize, to_bytes, to_unit, working_size

SIDES = st.integers(1, 300)
WAYS = ("crop", "pad", "stretch", "square")


@pytest.mark.parametrize("how", WAYS)
@given(width=SIDES, height=SIDES, across=st.integers(1, 8), down=st.integers(1, 8))
def test_every_way_gives_the_working_size(how, width, height, across, down):
    size = Size(32 * across, 32 * down)
    fitted = fit(np.full((height, width, 3), 200, np.uint8), size, how)
    assert fitted.shape == (size.height, size.width, 3)
    assert fitted.dtype == np.uint8 and fitted.flags.c_contiguous
    assert (fitted == 200).all() or how == "pad"


@given(width=SIDES, height=SIDES, across=st.integers(1, 8), down=st.integers(1, 8))
def test_padding_shows_the_whole_picture_in_its_shape(width, height, across, down):
    fitted = fit(np.full((height, width, 3), 200, np.uint8), Size(32 * across, 32 * down), "pad")
    rows, columns = (fitted[..., 0] == 200).any(1).sum(), (fitted[..., 0] == 200).any(0).sum()
    assert rows == 32 * down or columns == 32 * across
    assert (
        rows == 1 or columns == 1 or abs(columns - rows * width / height) <= max(1, width / height)
    )


def test_crop_keeps_the_middle():
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = 255
    assert (fit(pixels, Size(32, 32), "crop") == 255).all()


def test_square_takes_the_centre_square_first():
    pixels = np.zeros((64, 192, 3), np.uint8)
    pixels[:, 64:128] = 255
    assert (fit(pixels, Size(64, 32), "square") == 255).all()


def test_stretch_uses_every_pixel():
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 64:] = 255
    assert fit(pixels, Size(32, 64), "stretch")[:, 17:].min() == 255


def test_shrinking_averages_and_growing_is_smooth():
    board = np.indices((64, 64)).sum(0) % 2 * 255
    small = resize(np.repeat(board[..., None], 3, -1).astype(np.uint8), Size(32, 32))
    assert set(np.unique(small)) <= {127, 128}
    assert (
        len(
            np.unique(
                resize(np.eye(8, dtype=np.uint8)[..., None].repeat(3, -1) * 255, Size(64, 64))
            )
        )
        > 50
    )


def test_a_picture_of_the_right_size_comes_back_without_opencv():
    code = (
        "import sys, numpy as np; from sidestream.media.pixels import fit; from sidestream.config import Size;"
        "p = np.ones((32, 64, 3), np.uint8);"
        "assert all(fit(p, Size(64, 32), how) is p for how in ('crop', 'pad', 'stretch'));"
        "assert 'cv2' not in sys.modules and 'torch' not in sys.modules and 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(
    width=st.integers(16, 4096), height=st.integers(16, 4096), side=st.sampled_from((128, 256, 512))
)
def test_working_size_is_near_in_aspect_and_budget(width, height, side):
    size = working_size(width, height, side * side)
    assert size.width % SIZE_MULTIPLE == size.height % SIZE_MULTIPLE == 0
    if 1 / 3 <= width / height <= 3:
        assert abs(log(size.width / size.height) - log(width / height)) < 0.35 * 128 / side
        assert 0.5 <= size.width * size.height / (side * side) <= 1.8


@given(width=SIDES, height=SIDES)
def test_working_size_turns_with_the_picture(width, height):
    size, turned = working_size(width, height, 256**2), working_size(height, width, 256**2)
    assert size.width * size.height == turned.width * turned.height


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ((1920, 1080), "672x384"),
        ((512, 512), "512x512"),
        ((1080, 1920), "384x672"),
        ((640, 480), "608x448"),
    ],
)
def test_working_sizes_of_common_pictures(source, size):
    assert str(working_size(*source, 512**2)) == size


def test_every_level_survives_the_way_to_unit_range_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(2, 16, 16, 3)
    unit = to_unit(levels)
    assert unit.shape == (2, 3, 16, 16) and unit.is_contiguous()
    assert (unit.min(), unit.max()) == (-1, 1)
    assert torch.equal(to_bytes(unit), levels)
    assert to_unit(levels, torch.bfloat16).dtype == torch.bfloat16


def test_bytes_are_rounded_and_clamped():
    pictures = torch.tensor([-3.0, 99.6 / 127.5 - 1, 5.0]).reshape(1, 3, 1, 1)
    assert to_bytes(pictures).flatten().tolist() == [0, 100, 255]


@pytest.mark.parametrize("how", WAYS)
def test_a_picture_of_the_right_size_is_not_touched(how):
    pixels = np.ones((32, 32, 3), np.uint8)
    assert np.shares_memory(fit(pixels, Size(32, 32), how), pixels)


@given(
    across=st.integers(1, 40),
    down=st.integers(1, 40),
    parts=st.integers(1, 200),
    needed=st.builds(Size, *(st.integers(1, 32).map(lambda one: 32 * one),) * 2),
    how=st.sampled_from(WAYS),
)
def test_what_is_made_smaller_keeps_its_shape_and_is_fine_enough(across, down, parts, needed, how):
    width, height = across * parts, down * parts
    size = coarser(width, height, needed, how)
    assert size.width * height == size.height * width
    assert size.width <= width and size.height <= height
    assert working_size(size.width, size.height, 256**2) == working_size(width, height, 256**2)
    if size != Size(width, height):
        assert size.width >= needed.width and size.height >= needed.height
        cut = size.width == needed.width or size.height == needed.height
        twice = size.width >= 2 * needed.width and size.height >= 2 * needed.height
        assert twice or (cut and how == "crop") or size == needed


@pytest.mark.parametrize(
    ("source", "needed", "how", "size"),
    [
        ((1920, 1080), (352, 192), "crop", "352x198"),  # as wide as needed: rows are cut
        ((1920, 1080), (352, 192), "pad", "704x396"),
        ((1920, 1080), (320, 192), "crop", "688x387"),  # 342x192 would not keep the shape
        ((1080, 1920), (192, 352), "crop", "198x352"),
        ((640, 480), (256, 192), "stretch", "256x192"),
        ((1366, 768), (320, 192), "crop", "683x384"),
        ((1279, 719), (352, 192), "crop", "1279x719"),  # no smaller one has the same shape
        ((320, 180), (640, 352), "crop", "320x180"),
    ],
)
def test_how_much_smaller_pictures_may_be(source, needed, how, size):
    assert str(coarser(*source, Size(*needed), how)) == size


def test_what_is_cut_to_size_is_not_scaled_again():
    pixels = np.random.default_rng(0).integers(0, 256, (198, 352, 3), np.uint8)
    assert np.array_equal(fit(pixels, Size(352, 192)), pixels[3:195])
