"""Which way flow points, how exact it is, and which flows a batch gets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidestream import flow
from sidestream.config import Size
from sidestream.flow import (
    Backward,
    between,
    chain,
    dis,
    farneback,
    flows_of,
    gather,
    grey,
    mirrored,
    targets_of,
    warp,
)
from sidestream.types import Batch, Controls, Flows, Frame, Job, Key, Plan

SIZE = Size(128, 96)


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2) + 2 * cv2.GaussianBlur(noise, (0, 0), 6)
    low, high = np.quantile(blurred, (0.01, 0.99))
    return (255 * (blurred - low) / (high - low)).clip(0, 255).astype(np.uint8)


def moving(
    step: tuple[int, int], count: int = 2, side: int = 256, seed: int = 0
) -> list[np.ndarray]:
    """A texture that moves by (right, down) pixels a frame."""
    room = 40
    wide = textured(side + 2 * room, side + 2 * room, seed)
    corners = [(room - n * step[1], room - n * step[0]) for n in range(count)]
    return [np.ascontiguousarray(wide[y : y + side, x : x + side]) for y, x in corners]


def miss(found: np.ndarray, x: float, y: float) -> np.ndarray:
    return np.linalg.norm(found - np.array([x, y]), axis=-1)


def pulled(old: np.ndarray, backward: np.ndarray) -> np.ndarray:
    return gather(old.astype(np.float32), *targets_of(backward))


def constant(x: float, y: float, occluded: bool = False) -> Backward:
    field = np.broadcast_to(np.array([x, y], np.float32), (24, 32, 2)).copy()
    return Backward(field, np.full((24, 32), occluded))


@pytest.mark.parametrize("estimate", [dis, farneback])
def test_flow_maps_a_pixel_of_a_to_where_it_went_in_b(estimate):
    a, b = map(grey, moving((4, 2)))
    assert np.allclose(estimate(a, b)[32:-32, 32:-32].mean((0, 1)), (4, 2), atol=0.2)


@pytest.mark.parametrize("method", [between, mirrored])
def test_gathering_with_plus_shows_the_old_picture_on_the_new_one(method):
    old, new = moving((4, 2))
    backward = method(grey(old), grey(new)).flow
    right, wrong = (np.abs(pulled(old, sign * backward) - new).mean() for sign in (1, -1))
    assert right < 5 < 20 < wrong


def test_dis_finds_a_large_shift():
    a, b = map(grey, moving((12, 7)))
    assert miss(dis(a, b), 12, 7)[16:-16, 16:-16].mean() < 0.3
    assert miss(between(a, b).flow, -12, -7)[16:-16, 16:-16].mean() < 0.3


def test_dis_finds_a_turn_with_zoom():
    picture = textured(256, 256)
    turn = cv2.getRotationMatrix2D((128, 128), 2, 1.02)
    turned = cv2.warpAffine(picture, turn, (256, 256), borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[:256, :256]
    known = np.stack([row[0] * x + row[1] * y + row[2] for row in turn], -1) - np.stack([x, y], -1)
    error = np.linalg.norm(dis(grey(picture), grey(turned)) - known, axis=-1)
    assert error[16:-16, 16:-16].mean() < 0.3


def test_dis_remembers_nothing_of_other_pictures():
    a, b = map(grey, moving((5, 3), side=128))
    small = np.zeros((32, 32), np.uint8)
    alone = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(a, b, None)
    dis(small, small)
    assert np.array_equal(dis(a, b), alone)


def test_farneback_has_the_parameters_of_the_paper():
    a, b = map(grey, moving((2, 1), side=64))
    assert np.array_equal(
        farneback(a, b), cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    )


@pytest.mark.parametrize("shape", [(8, 200), (13, 40), (31, 31), (200, 12)])
def test_dis_stands_still_on_pictures_it_cannot_handle(shape):
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert not dis(*noise).any()


def test_what_an_object_reveals_is_occluded_and_the_rest_is_not():
    ground, thing = textured(256, 256, 1), textured(80, 80, 2)
    old, new = ground.copy(), ground.copy()
    old[80:160, 60:140] = thing
    new[80:160, 76:156] = thing
    occluded = between(grey(old), grey(new)).occluded
    assert occluded[88:152, 62:72].mean() > 0.8
    assert occluded[96:144, 96:140].mean() < 0.02
    assert occluded[180:].mean() < 0.02


def test_what_comes_in_at_the_edge_is_occluded():
    old, new = moving((12, 0))
    occluded = between(grey(old), grey(new)).occluded
    assert occluded[:, :10].mean() > 0.9
    assert occluded[32:-32, 32:-32].mean() < 0.02


def test_the_papers_flow_is_the_negated_forward_one_and_never_occluded():
    a, b = map(grey, moving((3, 1), side=64))
    backward = mirrored(a, b)
    assert np.array_equal(backward.flow, -farneback(a, b))
    assert not backward.occluded.any()


def test_small_steps_chain_to_the_whole_motion():
    greys = [grey(picture) for picture in moving((5, 3), 5)]
    total = between(*greys[:2])
    for old, new in pairwise(greys[1:]):
        total = chain(total, between(old, new))
    assert miss(total.flow, -20, -12)[~total.occluded].mean() < 0.5
    assert total.occluded[:10].mean() > 0.9 > 0.05 > total.occluded[40:-40, 40:-40].mean()


moves = st.tuples(st.floats(-3, 3, width=16), st.floats(-3, 3, width=16))


@given(moves, moves)
def test_constant_flows_add_when_chained(first, second):
    together = chain(constant(*first), constant(*second)).flow
    assert np.allclose(together, np.add(first, second), atol=1e-4)


@given(st.booleans(), st.booleans())
def test_occlusion_adds_up_when_chained(first, second):
    together = chain(constant(1, 0, first), constant(0, 1, second)).occluded
    assert together.all() == together.any() == (first or second)


# Flows of a batch.


def frames(step: tuple[int, int], count: int, seed: int = 0) -> list[Frame]:
    pictures = moving(step, count, side=96, seed=seed)
    return [Frame(p, n, Fraction(1, 24), n) for n, p in enumerate(pictures)]


def jobs_of(
    stream: object, shown: Sequence[Frame], refresh: str, anchored: bool = True
) -> list[Job]:
    """Jobs for all but the first frame; `refresh` holds an x for each that refreshes."""
    previous = [shown[0] if anchored else None, *shown[1:]]
    return [
        Job(
            frame=frame,
            stream=stream,
            controls=Controls(),
            plan=Plan(1, SIZE, "per_frame", "refresh" if mark == "x" else "reuse", epoch=0),
            prompts=(),
            previous=before,
        )
        for before, frame, mark in zip(previous, shown[1:], refresh, strict=False)
    ]


def batch_of(jobs: Sequence[Job]) -> Batch:
    return Batch(tuple(jobs), Key(SIZE, 1, (1, 16), "dis"), len(jobs))


class Counting(ThreadPoolExecutor):
    """Counts what it is asked to do."""

    done = 0

    def submit(self, *args, **kwargs):
        self.done += 1
        return super().submit(*args, **kwargs)


@pytest.fixture
def pool():
    with Counting(2) as pool:
        yield pool


def equal(one: Flows, other: Flows) -> bool:
    return all(
        np.array_equal(a, b)
        for field in ("anchor", "occluded", "step", "step_occluded")
        for a, b in zip(getattr(one, field), getattr(other, field), strict=True)
    )


def test_refreshing_jobs_get_the_flow_to_the_frame_before_the_batch(pool):
    flows = flows_of(batch_of(jobs_of("a", frames((3, 1), 5), "x-xx")), "dis", pool=pool)
    assert [field is not None for field in flows.anchor] == [True, False, True, True]
    means = [field[24:-24, 24:-24].mean((0, 1)) for field in flows.anchor if field is not None]
    assert np.allclose(means, [(-3, -1), (-9, -3), (-12, -4)], atol=0.8)
    assert flows.step == flows.step_occluded == ()


def test_farneback_goes_across_the_gap_at_once(pool):
    shown = frames((1, 0), 4)
    flows = flows_of(batch_of(jobs_of("a", shown, "--x")), "farneback", pool=pool)
    direct = mirrored(grey(shown[0].pixels), grey(shown[3].pixels))
    assert flows.anchor[:2] == (None, None)
    assert np.array_equal(flows.anchor[2], direct.flow)


@pytest.mark.parametrize(
    ("name", "refresh", "blend", "work"),
    [
        ("dis", "----", False, 0),
        ("dis", "x---", False, 2 + 1),
        ("dis", "--x-", False, 4 + 3),
        ("dis", "x-x-", False, 4 + 3),
        ("dis", "--x-", True, 5 + 4),
        ("farneback", "--x-", False, 2 + 1),
        ("farneback", "x-x-", True, 5 + 5),
    ],
)
def test_nothing_is_computed_that_nobody_uses(pool, name, refresh, blend, work):
    batch = batch_of(jobs_of("a", frames((1, 1), 5), refresh))
    flows_of(batch, name, stepwise=blend, pool=pool)
    assert pool.done == work


def test_blending_gives_each_job_the_flow_to_the_frame_just_before(pool):
    flows = flows_of(
        batch_of(jobs_of("a", frames((3, 1), 4), "x--")), "dis", stepwise=True, pool=pool
    )
    means = [field[24:-24, 24:-24].mean((0, 1)) for field in flows.step]
    assert np.allclose(means, [(-3, -1)] * 3, atol=0.3)
    assert np.array_equal(flows.step[0], flows.anchor[0])
    assert len(flows.step_occluded) == 3


def test_a_first_frame_has_nothing_to_warp(pool):
    jobs = jobs_of("a", frames((3, 1), 4), "xxx", anchored=False)
    flows = flows_of(batch_of(jobs), "dis", stepwise=True, pool=pool)
    assert flows.anchor == flows.occluded == (None, None, None)
    assert [field is None for field in flows.step] == [True, False, False]


def test_a_frame_of_another_size_is_not_warped(pool):
    small, shown = frames((3, 1), 1), frames((3, 1), 3)
    cropped = Frame(small[0].pixels[:64], 0, Fraction(1, 24), 0)
    flows = flows_of(batch_of(jobs_of("a", [cropped, *shown[1:]], "xx")), "dis", pool=pool)
    assert flows.anchor == (None, None)


@pytest.mark.parametrize("name", ["dis", "farneback"])
def test_interleaved_streams_get_the_flows_they_get_alone(pool, name):
    one = jobs_of("a", frames((3, 1), 4), "-xx")
    other = jobs_of("b", frames((-2, 2), 4, seed=5), "x-x")
    mixed = [job for pair in zip(one, other, strict=True) for job in pair]
    both = flows_of(batch_of(mixed), name, stepwise=True, pool=pool)
    for first, jobs in enumerate((one, other)):
        alone = flows_of(batch_of(jobs), name, stepwise=True, pool=pool)
        fields = (both.anchor, both.occluded, both.step, both.step_occluded)
        assert equal(Flows(*(field[first::2] for field in fields)), alone)


def test_two_streams_may_show_the_same_frames(pool):
    shown = frames((3, 1), 3)
    known, fresh = jobs_of("a", shown, "xx"), jobs_of("b", shown, "xx", anchored=False)
    flows = flows_of(batch_of([*known, *fresh]), "dis", pool=pool)
    assert [field is None for field in flows.anchor] == [False, False, True, True]


# The torch side.


def random_pictures(dtype: torch.dtype = torch.float32, height: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, height, 128, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_flow_returns_the_picture(dtype):
    pictures = random_pictures(dtype)
    warped = warp(pictures, torch.zeros(2, 64, 128, 2))
    assert warped.dtype == dtype
    assert torch.equal(warped, pictures)


def test_no_flow_is_near_exact_at_any_size():
    pictures = random_pictures(height=72)
    assert torch.allclose(warp(pictures, torch.zeros(2, 72, 128, 2)), pictures, atol=1e-5)


def test_bfloat16_pictures_are_sampled_at_exact_places():
    wide = torch.rand(1, 1, 8, 1000).to(torch.bfloat16)
    warped = warp(wide, torch.full((1, 8, 1000, 2), 3.0) * torch.tensor([1.0, 0.0]))
    assert torch.allclose(warped[..., :-3].float(), wide[..., 3:].float(), atol=4e-3)


@given(st.integers(0, 1000))
def test_warping_on_either_side_is_the_same(seed):
    random = np.random.default_rng(seed)
    picture = random.random((40, 56, 3), np.float32)
    field = random.normal(0, 6, (40, 56, 2)).astype(np.float32)
    tensor = warp(torch.from_numpy(picture).permute(2, 0, 1)[None], torch.from_numpy(field)[None])
    assert np.allclose(tensor[0].permute(1, 2, 0), pulled(picture, field), atol=1e-4)


def test_slots_without_flow_stand_still_and_are_occluded():
    field, mask = np.ones((96, 128, 2), np.float32), np.zeros((96, 128), np.bool_)
    flow_BHW2, occluded_B1HW = flow.stacked((None, field), (None, mask), 4, SIZE)
    assert flow_BHW2.mean((1, 2, 3)).tolist() == [0, 1, 0, 0]
    assert occluded_B1HW.float().mean((1, 2, 3)).tolist() == [1, 0, 1, 1]
