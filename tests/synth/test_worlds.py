"""Worlds repeat exactly, differ by seed, and their flow is what their pixels do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.flow import gather, targets_of
from sidestream.synth import lens, outlines, palettes, places, planes, sprites, textures, worlds
from sidestream.synth.layers import place

SMALL = Size(128, 96)


def photo(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.kron(random.integers(0, 255, (12, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)


def ground(rows: int = 48, columns: int = 64, photos: tuple[np.ndarray, ...] = ()) -> planes.Ground:
    return planes.Ground(rows, columns, palettes.palette(np.random.default_rng(1)), photos)


def interior(moment: worlds.Moment) -> np.ndarray:
    """Six pixels or more from what was revealed, since edges are soft."""
    import cv2

    return cv2.erode((~moment.revealed).astype(np.uint8), np.ones((13, 13))) > 0


def coarse(pixels: np.ndarray) -> np.ndarray:
    """Without the finest grain, which any resampling loses."""
    import cv2

    return cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 1.5)


def test_a_clip_is_the_same_on_every_run_and_another_with_another_seed():
    one, again, other = (list(worlds.clip(seed, SMALL, 3, [photo()])) for seed in (4, 4, 5))
    for a, b in zip(one, again, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
        assert np.array_equal(a.revealed, b.revealed)
    assert np.abs(one[0].pixels.astype(int) - other[0].pixels).mean() > 20


@pytest.mark.parametrize("seed", range(12))
def test_warping_by_a_clear_clips_flow_gives_the_next_frame(seed: int):
    errors, changes = [], []
    for old, new in pairwise(worlds.clip(seed, Size(160, 128), 6, cuts=False, clear=True)):
        assert new.flow is not None
        seen, before, now = interior(new), coarse(old.pixels), coarse(new.pixels)
        errors.append(np.abs(gather(before, *targets_of(new.flow)) - now)[seen].mean())
        changes.append(np.abs(before - now)[seen].mean())
    assert np.mean(errors) < 0.3 + 0.15 * np.mean(changes)


def test_flow_is_exact_to_a_fraction_of_a_level_on_smooth_surfaces():
    y, x = np.mgrid[:200, :200].astype(np.float32)
    waves = 128 + 100 * np.sin(x / 15) * np.cos(y / 18)
    canvas = np.dstack((waves, waves, waves, np.ones_like(waves))).astype(np.float32)
    camera = [
        sprites.Sprite(canvas, lambda t: place(60, 50, 0.1 * t, 1 + 0.1 * t, (100, 100)), True)
    ]
    old, new = (sprites.view(camera, time, SMALL) for time in (0, 1))
    flow = sprites.backward_flow(camera, new.owners, 0, 1)
    seen = ~sprites.revealed(flow, new.owners, old.owners)
    moved = gather(old.picture, *targets_of(flow))
    assert np.abs(flow).max() > 8
    assert np.abs(moved - new.picture)[seen].max() < 1.5
    assert np.abs(old.picture - new.picture)[seen].mean() > 10


def test_what_a_thing_uncovers_is_revealed_and_what_it_covers_is_not():
    canvas = np.full((20, 20, 4), 1, np.float32)
    still = sprites.Sprite(np.full((96, 128, 4), 1, np.float32), lambda _: np.eye(3), True)
    thing = sprites.Sprite(canvas, lambda time: place(30 + 5 * time, 40))
    stack = [still, thing]
    old, new = (sprites.view(stack, time, SMALL) for time in (0, 1))
    flow = sprites.backward_flow(stack, new.owners, 0, 1)
    hidden = sprites.revealed(flow, new.owners, old.owners)
    assert flow[50, 45].tolist() == [-5, 0]
    assert hidden[50, 31:34].all()
    assert hidden.sum() == 5 * 20


def test_a_sprite_out_of_view_is_not_seen():
    thing = sprites.Sprite(np.ones((8, 8, 4), np.float32), lambda _: place(-50, 0))
    seen = sprites.view([thing], 0, SMALL)
    assert (seen.owners == sprites.NOBODY).all()
    assert not seen.picture.any()


def test_cuts_come_with_no_flow_and_everything_revealed():
    moments = list(worlds.clip(3, Size(64, 64), 150))
    starts = [index for index, moment in enumerate(moments) if moment.flow is None]
    assert len(moments) == 150
    assert starts[0] == 0
    assert len(starts) > 1
    assert [index for index, moment in enumerate(moments) if moment.cut] == starts[1:]
    assert all(moments[index].revealed.all() for index in starts)
    assert min(np.diff(starts)) >= worlds.SHORTEST_SHOT


def test_without_cuts_only_the_first_frame_has_no_flow():
    moments = list(worlds.clip(3, Size(64, 64), 90, cuts=False))
    assert [moment.flow is None for moment in moments] == [True] + 89 * [False]
    assert not any(moment.cut for moment in moments)


def test_a_picture_is_the_first_frame_of_a_clip():
    first = next(worlds.clip(8, SMALL, 5, [photo()]))
    assert np.array_equal(worlds.picture(8, SMALL, [photo()]), first.pixels)


@pytest.mark.parametrize("size", [Size(32, 32), Size(64, 160), Size(160, 64)])
def test_worlds_fill_any_size_and_move_moderately(size: Size):
    for seed in range(20):
        for moment in worlds.clip(seed, size, 3, [photo()]):
            assert moment.pixels.shape == (size.height, size.width, 3)
            assert moment.flow is None or np.median(np.abs(moment.flow)) < 0.1 * max(
                size.width, size.height
            )


def test_pictures_are_as_bright_and_coloured_as_footage():
    pictures = np.stack([worlds.picture(seed, Size(64, 64)) for seed in range(80)]).astype(float)
    means = pictures.mean((1, 2, 3))
    chroma = (pictures.max(-1) - pictures.min(-1)).mean((1, 2))
    assert 95 < means.mean() < 130
    assert 15 < means.std() < 40
    assert 15 < np.median(chroma) < 45
    assert pictures.std((1, 2, 3)).min() > 2


def test_photographs_show_in_many_pictures():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = np.arange(64) * 4
    same = [
        np.array_equal(worlds.picture(s, Size(48, 48)), worlds.picture(s, Size(48, 48), [red]))
        for s in range(10)
    ]
    assert sum(same) < 5


@pytest.mark.parametrize("kind", [*textures.ANY, *textures.PHOTOGRAPHED])
def test_every_texture_fills_what_it_is_asked_to(kind: textures.Texture):
    here = ground(photos=(photo(), np.repeat(photo()[..., :1], 3, 2)))
    drawn = [kind(np.random.default_rng(seed), here) for seed in range(12)]
    assert all(pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8 for pixels in drawn)
    assert len({pixels.tobytes() for pixels in drawn}) > 8


@pytest.mark.parametrize("outline", {*outlines.THINGS, *outlines.OUTDOORS})
def test_every_outline_covers_a_part_of_its_square(outline: outlines.Outline):
    for seed in range(8):
        stencil = outlines.Stencil(64)
        outline(np.random.default_rng(seed), stencil)
        assert 0.005 < stencil.cover.mean() < 0.95
        assert stencil.cover.max() == 1


def test_noise_is_smoother_with_a_steeper_spectrum():
    flat, steep = (
        planes.fractal(np.random.default_rng(0), 64, 64, exponent) for exponent in (0.7, 2)
    )
    assert np.abs(np.diff(steep)).mean() < 0.4 * np.abs(np.diff(flat)).mean()


def test_the_clear_lens_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.float32)
    shown = lens.develop(picture, lens.CLEAR, 5, np.random.default_rng(0))
    assert np.array_equal(shown, picture)


@pytest.mark.parametrize(
    "flaw",
    [
        {"flicker": (0.2, 20.0, 0.0)},
        {"blur": 1.0},
        {"vignette": 0.4},
        {"noise": 3.0},
        {"quality": 40},
        {"bars": 4},
    ],
)
def test_every_flaw_of_a_lens_shows(flaw: dict[str, object]):
    picture = photo()[:32, :48].astype(np.float32)
    flawed = lens.Lens(np.eye(3, 4), **flaw)  # pyright: ignore
    shown = lens.develop(picture, flawed, 5, np.random.default_rng(0))
    assert np.abs(shown - picture).mean() > 0.5


def test_bars_stand_still():
    seed = next(s for s in range(300) if worlds.world(s, Size(32, 96)).lens.bars)
    *_, last = worlds.clip(seed, Size(32, 96), 3, cuts=False)
    bars = worlds.world(seed, Size(32, 96)).lens.bars
    assert last.flow is not None
    assert not last.flow[:bars].any()
    assert not last.revealed[-bars:].any()
    assert not last.pixels[:bars].any()


def test_shadows_fall_outdoors_and_not_in_clear_worlds():
    counts = [
        [
            len(list(places.Place(np.random.default_rng(s), SMALL, (), shadows=on).sprites()))
            for s in range(12)
        ]
        for on in (True, False)
    ]
    assert all(more >= fewer for more, fewer in zip(*counts, strict=True))
    assert sum(counts[0]) > sum(counts[1])
