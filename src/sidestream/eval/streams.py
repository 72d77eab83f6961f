"""Frames in a row: how steady they are, what is left of a scene after a cut, how fast they come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sidestream.config import Schedule, StreamConfig
from sidestream.eval import metrics
from sidestream.eval.bench import DRAWN, Bench, Extent, settings, size_of, turned
from sidestream.eval.clips import Clip, Window
from sidestream.flow import Estimate, Flow, Grey, farneback
from sidestream.recipe import FileOptions, Recipe
from sidestream.restyle import restyle
from sidestream.synth.instructions import held_out
from sidestream.synth.styles import STYLES
from sidestream.types import Pixels, Record

ON, OFF = "adapter on", "adapter off"
INPUTS, TARGETS = REFERENCES = "inputs", "targets"
STEADY: Mapping[str, tuple[bool, StreamConfig]] = {
    OFF: (False, StreamConfig()),
    ON: (True, StreamConfig()),
    "adapter off, fixed noise": (False, StreamConfig(fixed_noise=True)),
    "adapter off, blend 0.15": (False, StreamConfig(blend=0.15)),
    "adapter on, fixed noise": (True, StreamConfig(fixed_noise=True)),
    "adapter on, stability 0.5": (True, StreamConfig(stability=0.5)),
    "adapter on, conditioning every 8": (
        True,
        StreamConfig(batch=1, schedule=Schedule(cond_every=8)),
    ),
    "adapter on, conditioning every 64": (
        True,
        StreamConfig(batch=1, schedule=Schedule(cond_every=64)),
    ),
    "adapter on, one frame a batch": (True, StreamConfig(batch=1)),
}
"""Whether the adapter is on, and how the stream runs. A blend of 0.15 leaves 0.85 to the new frame."""
CUTS: Mapping[str, Schedule] = {
    "cut": Schedule(),
    "cut not looked for": Schedule(cut_threshold=None),
}


def rows(extent: Extent) -> Sequence[str]:
    return (OFF, ON) if extent.quick else tuple(STEADY)


def steadiness(bench: Bench, window: Window, number: int = 0) -> Iterator[Record]:
    """How steady and how sharp streams are, beside the paintings and the inputs themselves."""
    flow, inputs = _remembered(farneback), window.measured(window.frames)
    yield Record(table="steady", row=INPUTS, metrics=metrics.measure(inputs, inputs, flow=flow))
    for style in bench.extent.styles(number):
        prompts = turned(held_out(style), number)[:1]
        targets = [STYLES[style].paint(pixels) for pixels in inputs]
        painted = metrics.measure(inputs, targets, flow=flow)
        yield Record(table="steady", row=TARGETS, metrics=painted, config={"style": style})
        for row in rows(bench.extent):
            adapter, config = STEADY[row]
            config = replace(config, size=size_of(inputs[0]))
            restyled = bench.restyled(window.frames, prompts, config, adapter=adapter)
            outputs = window.measured(restyled)
            found = metrics.measure(inputs, outputs, flow=flow)
            found["target_l1"] = metrics.reference_l1(outputs, targets)
            yield Record(
                table="steady",
                row=row,
                metrics=found,
                config={
                    "style": style,
                    "prompt": prompts[0],
                    "lead": window.lead,
                    **settings(config, adapter=adapter),
                },
            )


def cuts(bench: Bench, clip: Clip) -> Iterator[Record]:
    """The first frame after a cut against that of a stream that begins there; 0: nothing is left of what was before."""
    before, after = clip.around_cut()
    prompts = held_out(DRAWN[0])[:1]
    for row, schedule in CUTS.items():
        config = StreamConfig(size=size_of(after[0].pixels), schedule=schedule)
        through = bench.restyled([*before, *after], prompts, config, adapter=True)
        fresh = bench.restyled(after, prompts, config, adapter=True)
        ghost = np.abs(through[len(before)].astype(np.int16) - fresh[0])
        yield Record(
            table="cut",
            row=row,
            metrics={"mean": float(ghost.mean()), "max": float(ghost.max())},
            config={"prompt": prompts[0], **settings(config, adapter=True)},
        )


def speed(bench: Bench, clip: Clip) -> Record:
    """File to file at the defaults, after all else has warmed the model up."""
    recipe = Recipe(
        prompt=held_out(DRAWN[0])[0],
        model=bench.model,
        stream=StreamConfig(size=size_of(clip.frames[0])),
    )
    with tempfile.TemporaryDirectory() as folder:
        source = clip.path or _saved(clip.frames, Path(folder) / "frames")
        done = restyle(bench.steady, source, Path(folder) / "out.mp4", recipe, FileOptions())
    return Record(
        table="speed",
        row="file to file",
        metrics={"fps": done.fps, "step_fps": done.step_fps, "frames": done.frames_out},
        config={"source": "file" if clip.path else "pictures", **recipe.configuration()},
    )


def _remembered(estimate: Estimate) -> Estimate:
    """Flow between inputs is the same for every row of a table."""
    known: dict[tuple[bytes, bytes], Flow] = {}

    def flow(old: Grey, new: Grey) -> Flow:
        key = (old.tobytes(), new.tobytes())
        if key not in known:
            known[key] = estimate(old, new)
        return known[key]

    return flow


def _saved(frames: Sequence[Pixels], folder: Path) -> Path:
    import cv2

    folder.mkdir()
    for index, pixels in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:06}.png"), pixels[..., ::-1])
    return folder
