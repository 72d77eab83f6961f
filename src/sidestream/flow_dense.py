"""Optical flow as tensor operations, where the model runs: all frames of a batch at once, and the host waits for nothing.

Lucas and Kanade's method on a pyramid: each pixel solves for the motion of its neighbourhood, twice a level, and
motions are smoothed in between. Signs are those of flow.py; flows are B x 2 x H x W here, x before y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from sidestream.flow import warp
from sidestream.types import Batch, Frame, Trails, Warp

if TYPE_CHECKING:
    from sidestream.stream import Stream

LUMA = (0.299, 0.587, 0.114)
COARSEST = 8
"""No level of the pyramid has a shorter side."""
ROUNDS = 2
"""Solutions on each level."""
FARTHEST = 2.0
"""Pixels that one of them may move by."""
NEIGHBOURHOOD, SMOOTHING, LIGHTING = 2, 3, 4
"""Radii: of what moves together, of what motions are averaged over, of what is evenly lit."""
STILLNESS = 0.0025
"""Squared slope that speaks for no motion, so that flat places stay where they are."""
FAINT = 25.0
"""Squared contrast, in levels of 255, that counts as half; what is much fainter is noise."""


def grey(pictures_BCHW: torch.Tensor) -> torch.Tensor:
    """Brightness of pictures in [-1, 1], B x 1 x H x W, 0 to 255."""
    red, green, blue = pictures_BCHW.float().split(1, dim=1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + 1) * 127.5


def estimate(a_B1HW: torch.Tensor, b_B1HW: torch.Tensor) -> torch.Tensor:
    """Where each pixel of a went in b."""
    levels = [(a_B1HW, b_B1HW)]
    while min(levels[-1][0].shape[-2:]) >= 2 * COARSEST:
        a, b = levels[-1]
        levels.append((F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)))
    flow_B2HW = torch.zeros_like(levels[-1][0]).expand(-1, 2, -1, -1)
    for a, b in reversed(levels):
        flow_B2HW = _refined(_grown(flow_B2HW, a), _evenly_lit(a), _evenly_lit(b))
    return flow_B2HW


def between(old_B1HW: torch.Tensor, new_B1HW: torch.Tensor) -> Warp:
    """Both ways at once; as in flow.py, what does not come back to where it started is occluded."""
    both = torch.cat((new_B1HW, old_B1HW))
    backward, forward = estimate(both, both.roll(len(new_B1HW), 0)).chunk(2)
    back = _moved(forward, backward)
    allowed = 0.01 * (_squared(backward) + _squared(back)) + 0.5
    astray = _squared(backward + back) > allowed
    return Warp(backward.permute(0, 2, 3, 1), astray | _outside(backward))


def chain(first: Warp, second: Warp) -> Warp:
    """`second`, from a frame to a middle one, followed by `first`, from there to the oldest."""
    parts = first.backward_BHW2.permute(0, 3, 1, 2), first.occluded_B1HW.float()
    there = warp(torch.cat(parts, dim=1), second.backward_BHW2)
    backward_BHW2 = second.backward_BHW2 + there[:, :2].permute(0, 2, 3, 1)
    return Warp(backward_BHW2, second.occluded_B1HW | (there[:, 2:] > 0.5))


class Places(NamedTuple):
    """Where in a batch each slot finds the frame before its own."""

    old: list[int]
    """Among the batch's pictures, with `strangers` behind them."""
    before: list[int]
    """The slot of that frame; its own where the batch does not have it."""
    known: list[bool]
    strangers: list[Frame]
    """Frames before that are not in the batch."""

    @property
    def doublings(self) -> int:
        """How often `search` has to join flows until the longest way through the batch is gone."""
        length: list[int] = []
        for slot, before in enumerate(self.before):
            length.append(1 if before == slot else length[before] + 1)
        return (max(length) - 1).bit_length()


def places_of(batch: Batch, trails: Trails) -> Places:
    found = Places([], [], [], [])
    newest: dict[Stream, int] = {}
    for slot, (job, before) in enumerate(zip(batch.jobs, trails.before, strict=True)):
        inside = newest.get(job.stream)
        newest[job.stream] = slot
        found.known.append(before is not None)
        found.before.append(slot if inside is None or before is None else inside)
        if inside is None and before is not None:
            found.old.append(batch.slots + len(found.strangers))
            found.strangers.append(before)
        else:
            found.old.append(found.before[-1])
    spare = batch.slots - len(batch.jobs)
    found.old.extend(found.old[-1:] * spare)
    found.before.extend(found.before[-1:] * spare)
    found.known.extend(found.known[-1:] * spare)
    return found


def search(
    old_B1HW: torch.Tensor,
    new_B1HW: torch.Tensor,
    before_B: torch.Tensor,
    known_B: torch.Tensor,
    doublings: int,
) -> tuple[Warp, Warp]:
    """Flow to the last frame before the batch, and to the frame just before; the latter three as in `Places`.

    Every doubling joins each flow with that of the slot where it leads, so that n of them go through 2 ** n frames.
    """
    step = between(old_B1HW, new_B1HW)
    step = Warp(step.backward_BHW2, step.occluded_B1HW | ~known_B[:, None, None, None])
    anchor, next_B = step, before_B
    open_B = before_B != torch.arange(len(before_B), device=before_B.device)
    for _ in range(doublings):
        onward = Warp(anchor.backward_BHW2[next_B], anchor.occluded_B1HW[next_B])
        joined = chain(onward, anchor)
        goes_on = open_B[:, None, None, None]
        anchor = Warp(
            torch.where(goes_on, joined.backward_BHW2, anchor.backward_BHW2),
            torch.where(goes_on, joined.occluded_B1HW, anchor.occluded_B1HW),
        )
        open_B, next_B = open_B & open_B[next_B], next_B[next_B]
    return anchor, step


def _grown(flow_B2HW: torch.Tensor, level_B1HW: torch.Tensor) -> torch.Tensor:
    shape = level_B1HW.shape[-2:]
    if flow_B2HW.shape[-2:] == shape:
        return flow_B2HW
    return 2 * F.interpolate(flow_B2HW, shape, mode="bilinear")


def _refined(flow_B2HW: torch.Tensor, a_B1HW: torch.Tensor, b_B1HW: torch.Tensor) -> torch.Tensor:
    """The motions that bring b nearest to a, neighbourhood by neighbourhood, from those that are known."""
    x, y = _slopes(a_B1HW)
    xx, xy, yy = _mean(torch.cat((x * x, x * y, y * y), dim=1), NEIGHBOURHOOD).split(1, dim=1)
    xx, yy = xx + STILLNESS, yy + STILLNESS
    scale = 1 / (xx * yy - xy * xy)
    for _ in range(ROUNDS):
        missing = a_B1HW - _moved(b_B1HW, flow_B2HW)
        p, q = _mean(torch.cat((x * missing, y * missing), dim=1), NEIGHBOURHOOD).split(1, dim=1)
        better = torch.cat((yy * p - xy * q, xx * q - xy * p), dim=1) * scale
        flow_B2HW = _mean(flow_B2HW + better.clamp(-FARTHEST, FARTHEST), SMOOTHING)
    return flow_B2HW


def _evenly_lit(grey_B1HW: torch.Tensor) -> torch.Tensor:
    """Every place about 0 and equally contrasty, so that light that changes is no motion."""
    even = grey_B1HW - _mean(grey_B1HW, LIGHTING)
    return even / (_mean(even * even, LIGHTING) + FAINT).sqrt()


def _slopes(picture_B1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    around = F.pad(picture_B1HW, (1, 1, 1, 1), mode="replicate")
    across, down = around[..., 1:-1, :], around[..., 1:-1]
    return (across[..., 2:] - across[..., :-2]) / 2, (down[..., 2:, :] - down[..., :-2, :]) / 2


def _mean(field_BCHW: torch.Tensor, radius: int) -> torch.Tensor:
    """Of a square around each pixel, as far as it lies inside."""
    return F.avg_pool2d(field_BCHW, 2 * radius + 1, 1, radius, count_include_pad=False)


def _moved(field_BCHW: torch.Tensor, flow_B2HW: torch.Tensor) -> torch.Tensor:
    return warp(field_BCHW, flow_B2HW.permute(0, 2, 3, 1))


def _squared(flow_B2HW: torch.Tensor) -> torch.Tensor:
    return flow_B2HW.square().sum(dim=1, keepdim=True)


def _outside(flow_B2HW: torch.Tensor) -> torch.Tensor:
    """What leads beyond the outer edge of the border's pixels."""
    height, width = flow_B2HW.shape[-2:]
    across, down = (torch.arange(side, device=flow_B2HW.device) for side in (width, height))
    x = flow_B2HW[:, :1] + (across - (width - 1) / 2)
    y = flow_B2HW[:, 1:] + (down[:, None] - (height - 1) / 2)
    return (x.abs() > width / 2) | (y.abs() > height / 2)
