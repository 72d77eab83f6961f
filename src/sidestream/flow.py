"""Optical flow between inputs, and warping by it.

Sign, once for the whole package: flow(a, b) maps a pixel of a to where it went in b, x_b = x_a + flow(x_a), in
pixels, right then down. What a frame carries along is its *backward* flow: for each of its pixels, where that was in
the old frame. So `warp(old, backward)` gathers with PLUS and shows the old picture moved onto the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sidestream.config import FlowName, Size
from sidestream.types import Batch, Flows, Frame, Job, Pixels, Trails

if TYPE_CHECKING:
    import torch

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]
"""H x W x 2."""
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Estimate = Callable[[Grey, Grey], Flow]
Route = tuple[Frame, ...]
"""Frames from old to new; empty where there is nothing to go back to."""

SMALLEST_SIDE = 32
"""On narrower pictures DIS may raise, return NaN or crash the process; no working size is below it."""

NO_GUESS = np.empty(0, np.float32)


class Backward(NamedTuple):
    """Where a frame's pixels were in an older frame, and where that cannot be known."""

    flow: Flow
    occluded: Mask


def grey(pixels: Pixels) -> Grey:
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def dis(a: Grey, b: Grey) -> Flow:
    """Dense inverse search, fast preset; zero for pictures that it cannot handle."""
    import cv2

    if min(a.shape) < SMALLEST_SIDE:
        return np.zeros((*a.shape, 2), np.float32)
    # A new object each time (8 us): a used one keeps the pyramid of the smallest picture it has seen.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(search.calc(a, b, NO_GUESS), np.float32)


def farneback(a: Grey, b: Grey) -> Flow:
    """With the parameters of the paper's code."""
    import cv2

    flow = cv2.calcOpticalFlowFarneback(a, b, NO_GUESS, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.asarray(flow, np.float32)


def between(old: Grey, new: Grey, estimate: Estimate = dis) -> Backward:
    """Estimates both ways: what does not come back to where it started is hidden in the old frame, or outside it."""
    backward, forward = estimate(new, old), estimate(old, new)
    there = targets_of(backward)
    back = gather(forward, *there)
    allowed = 0.01 * (_squared(backward) + _squared(back)) + 0.5
    return Backward(backward, (_squared(backward + back) > allowed) | _outside(*there))


def mirrored(old: Grey, new: Grey, estimate: Estimate = farneback) -> Backward:
    """As in the paper's code: the old frame's forward flow negated, on the new frame's grid, no occlusion."""
    return Backward(-estimate(old, new), np.zeros(new.shape, np.bool_))


def chain(first: Backward, second: Backward) -> Backward:
    """`second`, from a frame to a middle one, followed by `first`, from there to the oldest."""
    there = targets_of(second.flow)
    hidden = gather(first.occluded.astype(np.float32), *there) > 0.5
    return Backward(second.flow + gather(first.flow, *there), second.occluded | hidden)


def targets_of(flow: Flow) -> tuple[Plane, Plane]:
    """Where the flow leads from each pixel, as x and y."""
    height, width = flow.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return flow[..., 0] + x, flow[..., 1] + y[:, None]


def gather(field: NDArray[np.float32], x: Plane, y: Plane) -> NDArray[np.float32]:
    """The field at those places, bilinear; that of the border's pixels where they lie outside."""
    import cv2

    there = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(there, np.float32)


class Method(NamedTuple):
    step: Callable[[Grey, Grey], Backward]
    chained: bool
    """Whether flow across several frames goes through those between."""


METHODS: Mapping[FlowName, Method | None] = {
    "dis": Method(between, chained=True),
    "farneback": Method(mirrored, chained=False),
    "dense": None,  # on the device, by flow_dense.py
}


def flows_of(
    batch: Batch, name: FlowName, *, anchored: bool = True, stepwise: bool = False, pool: Executor
) -> Flows | Trails | None:
    """The flows that a batch's jobs need: to their anchor where they refresh, to the frame before where outputs are joined.

    Where the method runs on the device, which frames they lie between. Waits for work on the pool, so it must not
    itself run there.
    """
    method = METHODS[name]
    trails = list(_trails(batch.jobs))
    refreshes = [anchored and job.plan.conditioning == "refresh" for job in batch.jobs]
    if method is None:
        before = tuple(next(iter(trail.to_before()), None) for trail in trails)
        return Trails(before, any(refreshes), stepwise) if stepwise or any(refreshes) else None
    anchors = [
        trail.to_anchor(method.chained) if refresh else ()
        for refresh, trail in zip(refreshes, trails, strict=True)
    ]
    befores = [trail.to_before() for trail in trails] if stepwise else []
    legs = dict.fromkeys(leg for route in (*anchors, *befores) for leg in pairwise(route))
    known = _steps(list(legs), method.step, pool)
    anchor, occluded = _along(anchors, known)
    step, step_occluded = _along(befores, known)
    return Flows(anchor, occluded, step, step_occluded)


def warp(
    pictures_BCHW: torch.Tensor,
    backward_BHW2: torch.Tensor,
    mode: Literal["bilinear", "bicubic"] = "bilinear",
) -> torch.Tensor:
    """The pictures at x + backward(x); the border's pixels where that lies outside."""
    import torch
    from torch.nn.functional import grid_sample

    height, width = pictures_BCHW.shape[-2:]
    flow = backward_BHW2.float()
    # In float32, since bfloat16 would be off by whole pixels; and with half pixels at the edges (align_corners=False),
    # which samples the same places but is exact where nothing moves, at sides that are powers of two.
    x = ((flow[..., 0] + torch.arange(width, device=flow.device)) * 2 + 1) / width - 1
    y = ((flow[..., 1] + torch.arange(height, device=flow.device)[:, None]) * 2 + 1) / height - 1
    warped = grid_sample(
        pictures_BCHW.float(),
        torch.stack((x, y), -1),
        mode=mode,
        padding_mode="border",
        align_corners=False,
    )
    return warped.to(pictures_BCHW.dtype)


def stacked(
    flows: Sequence[Flow | None], occluded: Sequence[Mask | None], slots: int, size: Size
) -> tuple[torch.Tensor, torch.Tensor]:
    """One slot a row, B x H x W x 2 and B x 1 x H x W; a slot without flow stands still and is all occluded."""
    import torch

    flow_BHW2 = torch.zeros(slots, size.height, size.width, 2)
    occluded_B1HW = torch.ones(slots, 1, size.height, size.width, dtype=torch.bool)
    for slot, (flow, mask) in enumerate(zip(flows, occluded, strict=True)):
        if flow is not None and mask is not None:
            flow_BHW2[slot] = torch.from_numpy(flow)
            occluded_B1HW[slot, 0] = torch.from_numpy(mask)
    return flow_BHW2, occluded_B1HW


class _Trail(NamedTuple):
    """How a stream gets to one of its frames within a batch."""

    anchor: Frame | None
    """Its last frame before the batch, if there is one in the same scene and of the same size."""
    frames: Route

    def to_anchor(self, chained: bool) -> Route:
        if self.anchor is None:
            return ()
        return (self.anchor, *(self.frames if chained else self.frames[-1:]))

    def to_before(self) -> Route:
        before, frame = (self.anchor, *self.frames)[-2:]
        return () if before is None or frame is None else (before, frame)


def _trails(jobs: Sequence[Job]) -> Iterator[_Trail]:
    trails: dict[int, _Trail] = {}
    for job in jobs:
        old = job.previous
        trail = trails.get(id(job.stream))
        if trail is None or old is None:
            fits = old is not None and old.pixels.shape == job.frame.pixels.shape
            trail = _Trail(old if fits else None, ())
        trails[id(job.stream)] = trail = _Trail(trail.anchor, (*trail.frames, job.frame))
        yield trail


def _steps(
    legs: Sequence[Route], step: Callable[[Grey, Grey], Backward], pool: Executor
) -> dict[Route, Backward]:
    frames = dict.fromkeys(frame for leg in legs for frame in leg)
    greys = dict(zip(frames, pool.map(lambda frame: grey(frame.pixels), frames), strict=True))
    # OpenCV releases the GIL, so threads really overlap.
    steps = pool.map(lambda leg: step(greys[leg[0]], greys[leg[1]]), legs)
    return dict(zip(legs, steps, strict=True))


def _along(
    routes: Sequence[Route], known: dict[Route, Backward]
) -> tuple[tuple[Flow | None, ...], tuple[Mask | None, ...]]:
    found = [_travel(route, known) if route else None for route in routes]
    return tuple(f and f.flow for f in found), tuple(f and f.occluded for f in found)


def _travel(route: Route, known: dict[Route, Backward]) -> Backward:
    """The flow along a route, remembered for routes that lead on from its end."""
    if route not in known:
        known[route] = chain(_travel(route[:-1], known), known[route[-2:]])
    return known[route]


def _squared(flow: Flow) -> Plane:
    return flow[..., 0] ** 2 + flow[..., 1] ** 2


def _outside(x: Plane, y: Plane) -> Mask:
    """Beyond the outer edge of the border's pixels."""
    height, width = x.shape
    return (np.abs(x - (width - 1) / 2) > width / 2) | (np.abs(y - (height - 1) / 2) > height / 2)
