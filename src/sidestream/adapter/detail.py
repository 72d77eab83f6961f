"""The detail adapter: what is fine comes from the picture before, moved along; what is coarse is always fresh.

A painted video flickers in its strokes: every frame has good ones, but others. So the fine part of the picture that
was shown last is carried into the fresh one, as far as flow can be trusted and a small network agrees, and colours and
light follow the fresh one. It works on pictures, behind the decoder, so that any model can be steadied by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from sidestream.adapter import checkpoint
from sidestream.flow import warp
from sidestream.types import Warp

KIND = "temporal_detail"
WIDTH = 16
COARSE = 16
"""What is wider than about this many pixels is coarse."""


class TemporalDetail(nn.Module):
    """Weights in float32; a few thousand."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(8, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
        )
        self.trust = nn.Conv2d(WIDTH, 1, 3, padding=1)
        self.crisp = nn.Parameter(torch.tensor(0.5))
        """Between a bilinear move, which softens, and a bicubic one, which sharpens."""
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, 1.0)  # type: ignore[arg-type]

    def forward(
        self,
        fresh_BCHW: torch.Tensor,
        before_BCHW: torch.Tensor,
        way: Warp,
        strength: float | torch.Tensor = 1.0,
    ) -> torch.Tensor:
        """Pictures in [-1, 1], a little beyond it where strokes were made crisper."""
        known = 1 - _widened(way.occluded_B1HW.float())
        soft, sharp = (
            warp(before_BCHW, way.backward_BHW2, mode) for mode in ("bilinear", "bicubic")
        )
        moved = torch.lerp(soft, sharp, self.crisp)
        change = fresh_BCHW - moved
        held = within_reach(moved + coarse(change, known), fresh_BCHW)
        share = strength * known * self._trusted(fresh_BCHW, change, known)
        return fresh_BCHW + share * (held - fresh_BCHW)

    def _trusted(
        self, fresh_BCHW: torch.Tensor, change_BCHW: torch.Tensor, known_B1HW: torch.Tensor
    ) -> torch.Tensor:
        """How far to hold on, 0 to 1: seen at half the size."""
        rough = F.avg_pool2d(change_BCHW.abs().mean(dim=1, keepdim=True), 2)
        seen = [F.avg_pool2d(fresh_BCHW, 2), F.avg_pool2d(change_BCHW, 2), rough]
        seen = torch.cat([*seen, F.avg_pool2d(known_B1HW, 2)], dim=1)
        # A quarter of the time that it takes channel by channel.
        seen = seen.contiguous(memory_format=torch.channels_last)
        trust = self.trust(self.look(seen)).sigmoid()
        return F.interpolate(trust, scale_factor=2.0, mode="bilinear")


def within_reach(held_BCHW: torch.Tensor, fresh_BCHW: torch.Tensor) -> torch.Tensor:
    """No brighter and no darker than the fresh picture is nearby: what is handed on for ever must not grow on its way."""
    highest = _highest(fresh_BCHW)
    lowest = -_highest(-fresh_BCHW)
    return held_BCHW.clamp(lowest, highest)


def _highest(picture_BCHW: torch.Tensor) -> torch.Tensor:
    """Within four to eight pixels."""
    cells = picture_BCHW
    for _ in range(2):  # a fraction of the time of one pooling
        cells = torch.maximum(cells[..., ::2], cells[..., 1::2])
        cells = torch.maximum(cells[..., ::2, :], cells[..., 1::2, :])
    return F.interpolate(_widened(cells), scale_factor=4.0, mode="bilinear")


def _widened(cells_BCHW: torch.Tensor) -> torch.Tensor:
    """The highest of 3x3; a third of the time that pooling takes, which also notes where it was."""
    padded = F.pad(cells_BCHW, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(
        torch.maximum(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :]
    )
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def coarse(change_BCHW: torch.Tensor, known_B1HW: torch.Tensor) -> torch.Tensor:
    """The smooth part of a change, told from where it is known alone."""
    cell = COARSE // 2
    weighed = torch.cat([change_BCHW * known_B1HW, known_B1HW], dim=1)
    cells = F.pad(F.avg_pool2d(weighed, cell), (1, 1, 1, 1), mode="replicate")
    # Twice two, which no wave comes out of upside down, as it would of three: that would grow from frame to frame.
    cells = F.avg_pool2d(F.avg_pool2d(cells, 2, stride=1), 2, stride=1)
    smooth = F.interpolate(cells, scale_factor=float(cell), mode="bilinear")
    return smooth[:, :3] / (smooth[:, 3:] + 1e-3)


def save(detail: TemporalDetail, path: Path, metadata: Mapping[str, object]) -> None:
    checkpoint.write(path, detail.state_dict(), {**metadata, "kind": KIND})


def load(path: Path) -> TemporalDetail:
    detail = TemporalDetail().requires_grad_(False).eval()
    weights = detail.state_dict()
    with checkpoint.opened(path) as file:
        checkpoint.check_kind(path, file, KIND)
        checkpoint.check_weights(path, file, weights)
        checkpoint.fill(weights, file)
    return detail.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
