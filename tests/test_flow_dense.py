"""Flow as tensors: how exact it is beside the others, what it calls occluded, and that a batch gets what the host gives it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from sidestream import flow, flow_dense
from sidestream.bench.work import WorkSpans
from sidestream.config import Size
from sidestream.flow_dense import between, chain, estimate, places_of, search
from sidestream.models.compile import compiled
from sidestream.models.lanes import Lane
from sidestream.prepare import Preparer
from sidestream.synth.scenes import scene
from sidestream.timing import Spans
from sidestream.types import Batch, Controls, Frame, Job, Key, Plan, Trails, Warp

SIZE = Size(128, 96)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(flow.grey(pixels)).float()[None, None]


def found(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return estimate(tensor(new), tensor(old))[0].permute(1, 2, 0).numpy()


def miss(field: np.ndarray, known: np.ndarray) -> float:
    """End-point error where what is seen was in the old picture."""
    inside = ~flow._outside(*flow.targets_of(known))
    return float(np.linalg.norm(field - known, axis=-1)[inside].mean())


def scenes(size: Size = Size(160, 128)):
    for seed in range(3):
        pictures = list(scene(seed, size, 8))
        yield pictures[6][0], pictures[7][0], pictures[7][1]


def test_grey_is_that_of_the_host():
    pixels = next(scenes())[0]
    ours = flow_dense.grey(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1)
    assert (ours - tensor(pixels)).abs().max() < 1


def test_known_motion_is_found_at_least_as_well_as_by_dis_and_farneback():
    ours, dis, farneback = (
        np.mean([miss(how(old, new), known) for old, new, known in scenes()])
        for how in (
            found,
            lambda old, new: flow.dis(flow.grey(new), flow.grey(old)),
            lambda old, new: flow.farneback(flow.grey(new), flow.grey(old)),
        )
    )
    assert ours < dis
    assert ours < farneback


def test_light_that_changes_is_no_motion():
    old, new, known = next(scenes())
    brighter = (new * 0.85 + 20).astype(np.uint8)
    assert miss(found(old, brighter), known) < miss(found(old, new), known) + 0.1


def test_a_picture_without_anything_to_see_stands_still():
    grey = torch.full((1, 1, 64, 96), 127.0)
    assert not between(grey, grey).occluded_B1HW.any()
    assert estimate(grey, grey).abs().max() < 1e-3


def test_occlusion_is_that_of_the_host_given_the_same_flow():
    old, new, _ = next(scenes())
    warp = between(tensor(old), tensor(new))
    fields = {
        "backward": found(old, new),
        "forward": estimate(tensor(old), tensor(new))[0].permute(1, 2, 0).numpy(),
    }
    estimates = iter(fields.values())
    host = flow.between(flow.grey(old), flow.grey(new), lambda a, b: next(estimates))
    assert np.allclose(warp.backward_BHW2[0], host.flow, atol=1e-4)
    differ = warp.occluded_B1HW[0, 0].numpy() != host.occluded
    assert host.occluded.any() and differ.mean() < 0.002


def test_chaining_is_that_of_the_host():
    random = np.random.default_rng(0)
    fields = [
        cv2.GaussianBlur(random.normal(0, 20, (48, 64, 2)), (0, 0), 4).astype(np.float32)
        for _ in range(2)
    ]
    masks = np.zeros((2, 48, 64), np.bool_)
    masks[0, 10:20, 30:40] = masks[1, 30:40, 5:15] = True
    host = flow.chain(*map(flow.Backward, fields, masks))
    ours = chain(
        *(
            Warp(torch.from_numpy(field)[None], torch.from_numpy(mask)[None, None])
            for field, mask in zip(fields, masks, strict=True)
        )
    )
    assert np.allclose(ours.backward_BHW2[0], host.flow, atol=0.02)
    assert (ours.occluded_B1HW[0, 0].numpy() != host.occluded).mean() < 0.01


def drifting(count: int, step: tuple[int, int] = (2, 1), seed: int = 0) -> list[Frame]:
    """A ground that moves by whole pixels."""
    wide = next(scene(seed, Size(256, 192), 1))[0]
    corners = [(20 + n * step[1], 20 + n * step[0]) for n in range(count)]
    return [
        Frame(np.ascontiguousarray(wide[y : y + 96, x : x + 128]), n, Fraction(1, 24), n)
        for n, (y, x) in enumerate(corners)
    ]


def batch_of(*streams: tuple[str, list[Frame], bool], slots: int) -> Batch:
    """Frames of streams by turns; the first frame of each is the one before the batch, if it is anchored."""
    jobs = [
        [
            Job(
                frame=frame,
                stream=name,
                controls=Controls(),
                plan=Plan(1, SIZE, "per_frame", "refresh", epoch=0),
                prompts=(),
                previous=before if anchored or place else None,
            )
            for place, (before, frame) in enumerate(pairwise(shown))
        ]
        for name, shown, anchored in streams
    ]
    mixed = [job for turn in zip(*jobs, strict=True) for job in turn]
    return Batch(tuple(mixed), Key(SIZE, 1, (1, 16), "dense"), slots)


def asked(batch: Batch, **how: bool) -> Trails | None:
    with ThreadPoolExecutor(1) as pool:
        trails = flow.flows_of(batch, "dense", pool=pool, **how)
    assert trails is None or isinstance(trails, Trails)
    return trails


def test_the_host_only_says_which_frames_lie_before():
    shown = drifting(4)
    batch = batch_of(("a", shown, True), slots=4)
    trails = asked(batch, stepwise=True)
    assert trails is not None
    assert trails.before == tuple(shown[:3])
    assert (trails.anchored, trails.stepwise) == (True, True)
    assert asked(batch, anchored=False) is None


@pytest.mark.parametrize(
    ("anchored", "old", "before", "known"),
    [
        (True, [4, 0, 1, 1], [0, 0, 1, 1], [True] * 4),
        (False, [0, 0, 1, 1], [0, 0, 1, 1], [False, True, True, True]),
    ],
)
def test_slots_find_the_frame_before_in_the_batch_or_behind_it(anchored, old, before, known):
    batch = batch_of(("a", drifting(4), anchored), slots=4)
    trails = asked(batch)
    assert trails is not None
    places = places_of(batch, trails)
    assert (places.old, places.before, places.known) == (old, before, known)
    assert len(places.strangers) == anchored
    assert places.doublings == 2


def test_streams_in_turn_are_one_step_each_from_their_own_frames():
    batch = batch_of(("a", drifting(2), True), ("b", drifting(2, seed=1), True), slots=2)
    trails = asked(batch)
    assert trails is not None
    places = places_of(batch, trails)
    assert (places.old, places.before, places.doublings) == ([2, 3], [0, 1], 0)


def test_another_number_of_frames_from_before_is_no_new_shape(nano):
    torch.compiler.reset()
    made = Preparer(
        nano.built.model,
        torch.device("cpu"),
        torch.float32,
        Spans(),
        Lane(partial(compiled, backend="eager")),
    )

    def search(carried: int) -> None:
        feeds = [(name, drifting(2, seed=seed), seed < carried) for seed, name in enumerate("abcd")]
        batch = batch_of(*feeds, slots=4)
        trails = asked(batch)
        assert trails is not None and len(places_of(batch, trails).strangers) == carried
        made._searched(batch, trails, inputs_of(made, batch))

    search(4)
    with torch.compiler.set_stance("fail_on_recompile"):
        search(3)


@pytest.fixture(scope="module")
def preparer(nano) -> Preparer:
    return Preparer(nano.built.model, torch.device("cpu"), torch.float32, Spans())


def inputs_of(preparer: Preparer, batch: Batch) -> torch.Tensor:
    return preparer._pictures([job.frame for job in batch.padded])


def test_a_batch_is_followed_back_to_the_frame_before_it(preparer):
    shown = drifting(9)
    batch = batch_of(("a", shown, True), slots=8)
    trails = asked(batch, stepwise=True)
    assert trails is not None
    anchor, step = preparer._searched(batch, trails, inputs_of(preparer, batch))
    assert anchor is not None and step is not None
    for slot in range(8):
        for warp, frames in ((step, 1), (anchor, slot + 1)):
            trusted = ~warp.occluded_B1HW[slot, 0, 24:-24, 24:-24]
            field = warp.backward_BHW2[slot, 24:-24, 24:-24][trusted]
            assert trusted.float().mean() > 0.9
            assert torch.allclose(field.mean(0), torch.tensor([2.0, 1.0]) * frames, atol=0.3)


def test_streams_of_a_batch_get_the_flow_they_get_alone(preparer):
    one, other = ("a", drifting(3), True), ("b", drifting(3, (-1, 2), seed=1), False)
    both = batch_of(one, other, slots=4)
    for first, stream in enumerate((one, other)):
        alone = batch_of(stream, slots=2)
        warps = []
        for batch in (both, alone):
            trails = asked(batch, stepwise=True)
            assert trails is not None
            warps.append(preparer._searched(batch, trails, inputs_of(preparer, batch)))
        for mixed, own in zip(*warps, strict=True):
            assert torch.allclose(mixed.backward_BHW2[first::2], own.backward_BHW2, atol=1e-3)
            assert torch.equal(mixed.occluded_B1HW[first::2], own.occluded_B1HW)


def test_a_frame_without_one_before_is_all_occluded():
    pictures = torch.rand(2, 1, 32, 32) * 255
    anchor, step = search(
        pictures, pictures, torch.tensor([0, 0]), torch.tensor([False, True]), doublings=1
    )
    assert step.occluded_B1HW.float().mean((1, 2, 3)).tolist() == [1, 0]
    assert anchor.occluded_B1HW.float().mean((1, 2, 3)).tolist() == [1, 1]


def test_nothing_of_it_waits_for_the_device():
    counting = WorkSpans()
    pictures = torch.rand(4, 1, 64, 64) * 255
    with counting("search"):
        search(pictures, pictures, torch.tensor([0, 0, 1, 2]), torch.ones(4, dtype=torch.bool), 2)
    assert counting.work["search"].waits == 0
    assert counting.work["search"].operations > 0


@pytest.mark.parametrize("batch", [1, 4])
def test_a_video_is_restyled_by_it(nano, video, batch):
    """The warped outputs reach conditioning and blend: pixels are near those by DIS, and not those without flow."""
    made = {}
    for name in ("dis", "dense"):
        with nano.open("ink", flow=name, batch=batch, blend=0.5) as stream:
            made[name] = np.stack([styled.pixels for styled in stream.run(video)]).astype(int)
    with nano.open("ink", batch=batch, stability=0) as stream:
        bare = np.stack([styled.pixels for styled in stream.run(video)]).astype(int)
    near = np.abs(made["dis"] - made["dense"])[2:].mean()
    far = np.abs(bare - made["dense"])[2:].mean()
    assert near < far / 2
