"""Contact sheets: what figures cannot say is for the eye."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sidestream.config import StreamConfig
from sidestream.eval.bench import DRAWN, UNSEEN, Bench, size_of, turned
from sidestream.eval.clips import Clip
from sidestream.eval.streams import OFF, ON
from sidestream.synth.instructions import held_out
from sidestream.synth.styles import STYLES
from sidestream.types import Pixels

MARGIN, MARGIN_TOP = 4, 20
STRIP = 6
"""Consecutive frames that are shown."""
QUALITY = 4
"""Steps that are shown beside one step."""

Cells = Mapping[str, Sequence[Pixels]]
"""Pictures by the label of their row."""


def sheets(bench: Bench, clips: Sequence[Clip]) -> Iterator[tuple[str, Pixels]]:
    """Each with a name. The styles on every clip, a strip of one style on every clip, and the unseen styles."""
    moving = [clip for clip in clips if not clip.is_cut]
    for number, clip in enumerate(moving):
        yield f"styles-{clip.name}", styles(bench, clip, number)
        yield f"strip-{clip.name}", strip(bench, clip, DRAWN[number % len(DRAWN)])
    yield "unseen", unseen(bench, moving)


def styles(bench: Bench, clip: Clip, number: int = 0) -> Pixels:
    """What each style should be, and what it is in one step and in more; the first column asks for no change."""
    frame = clip.frames[len(clip.frames) // 2]
    names = ("identity", *DRAWN)
    prompts = [turned(held_out(name), number)[0] for name in names]
    cells = {"target": [STYLES[name].paint(frame) for name in names]}
    for steps in (1, QUALITY):
        config = StreamConfig(size=size_of(frame), steps=steps)
        cells[f"K = {steps}"] = bench.restyled([frame] * len(names), prompts, config)
    return sheet(cells, ("unchanged", *DRAWN))


def strip(bench: Bench, clip: Clip, style: str) -> Pixels:
    """The last of a stream's frames: how it looks once it runs."""
    window = clip.windows(bench.extent.frames)[0].frames
    shown = np.s_[-STRIP:]
    painted = [STYLES[style].paint(pixels) for pixels in window[shown]]
    cells = {"input": window[shown], f"{style}, target": painted}
    config = StreamConfig(size=size_of(window[0]))
    for row, adapter in ((OFF, False), (ON, True)):
        outputs = bench.restyled(window, held_out(style)[:1], config, adapter=adapter)
        cells[row] = outputs[shown]
    return sheet(cells, [str(index) for index in range(len(window))][shown])


def unseen(bench: Bench, clips: Sequence[Clip]) -> Pixels:
    frames = [clip.frames[len(clip.frames) // 2] for clip in clips]
    cells: dict[str, Sequence[Pixels]] = {"input": frames}
    config = StreamConfig(size=size_of(frames[0]))
    for style in UNSEEN:
        cells[f"{style}, its target"] = [STYLES[style].paint(frame) for frame in frames]
        cells[f"{style}, K = 1"] = bench.restyled(frames, held_out(style)[:1], config)
    return sheet(cells, [clip.name for clip in clips])


def frames_shown(bench: Bench, clips: Sequence[Clip]) -> int:
    """How many frames are restyled for the sheets."""
    moving = [clip for clip in clips if not clip.is_cut]
    strips = sum(2 * len(clip.windows(bench.extent.frames)[0].frames) for clip in moving)
    return strips + len(moving) * (2 * (1 + len(DRAWN)) + len(UNSEEN))


def sheet(cells: Cells, columns: Sequence[str]) -> Pixels:
    """Rows of pictures under their labels."""
    tiles = [
        [_tile(pixels, f"{row}: {column}") for pixels, column in zip(line, columns, strict=True)]
        for row, line in cells.items()
    ]
    return np.vstack([np.hstack(line) for line in tiles])


def _tile(pixels: Pixels, label: str) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    tile = np.full((height + MARGIN_TOP + MARGIN, width + 2 * MARGIN, 3), 255, np.uint8)
    tile[MARGIN_TOP : MARGIN_TOP + height, MARGIN : MARGIN + width] = pixels
    place, font = (MARGIN, MARGIN_TOP - 6), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(tile, label, place, font, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
