"""How exact each method of optical flow is, and how long it takes: python benchmarks/flow.py [FOLDER OF CLIPS].

On scenes of our own, whose motion is known; and on clips, where it is not, how well the old picture moved along the flow
shows the new one, and how far the flow is from that of DIS. Both where the method trusts its own flow.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch

from sidestream import flow, flow_dense
from sidestream.config import Size
from sidestream.console import Printer
from sidestream.eval import clips
from sidestream.flow import Backward, Flow, Grey
from sidestream.synth.scenes import scene
from sidestream.types import Pixels

SIZE = Size(256, 256)
SEEDS = range(2**33, 2**33 + 6)
EVERY = 8
"""Frames between those that are looked at."""
Between = Callable[[Grey, Grey], Backward]
Pair = tuple[Pixels, Pixels]


def dense(old: Grey, new: Grey) -> Backward:
    greys = (torch.from_numpy(one).float()[None, None] for one in (old, new))
    with torch.inference_mode():
        found = flow_dense.between(*greys)
    return Backward(found.backward_BHW2[0].numpy(), found.occluded_B1HW[0, 0].numpy())


METHODS: dict[str, Between] = {
    "dis": flow.between,
    "farneback": lambda old, new: flow.between(old, new, flow.farneback),
    "farneback, mirrored": flow.mirrored,
    "dense": dense,
}


def drawn(lit: float) -> Iterator[tuple[Pair, Flow]]:
    """Pictures in a row, the second in another light, and how it moved."""
    for seed in SEEDS:
        for (old, _), (new, known) in islice(
            pairwise(scene(seed, SIZE, 5 * EVERY)), 4, None, EVERY
        ):
            assert known is not None
            yield (old, (new * lit).astype(np.uint8)), known


def filmed(folder: Path) -> Iterator[Pair]:
    for clip in clips.load(folder, SIZE):
        if not clip.is_cut:
            yield from islice(pairwise(clip.frames), 4, None, EVERY)


def known_motion(name: str, lit: float) -> dict[str, str]:
    errors, wrong, seconds = zip(*(_judged(METHODS[name], *one) for one in drawn(lit)), strict=True)
    return {
        "error": f"{np.mean(errors):.2f}",
        "off by 1": f"{100 * np.mean(wrong):.1f} %",
        "ms": f"{1000 * np.median(seconds):.1f}",
    }


def _judged(between: Between, pair: Pair, known: Flow) -> tuple[float, float, float]:
    """End-point error in pixels and how much is off by one, where flow leads into the picture; and the time."""
    old, new = map(flow.grey, pair)
    begin = time.perf_counter()
    found = between(old, new)
    seconds = time.perf_counter() - begin
    x, y = flow.targets_of(known)
    inside = (x >= 0) & (x <= SIZE.width - 1) & (y >= 0) & (y <= SIZE.height - 1)
    error = np.linalg.norm(found.flow - known, axis=-1)[inside]
    return float(error.mean()), float((error > 1).mean()), seconds


def on_clips(name: str, pairs: list[Pair]) -> dict[str, str]:
    left, apart, trusted = [], [], []
    for pair in pairs:
        old, new = map(flow.grey, pair)
        found, by_dis = METHODS[name](old, new), flow.between(old, new)
        seen = ~found.occluded
        moved = flow.gather(old.astype(np.float32), *flow.targets_of(found.flow))
        left.append(np.abs(moved - new)[seen].mean())
        both = seen & ~by_dis.occluded
        apart.append(np.median(np.linalg.norm(found.flow - by_dis.flow, axis=-1)[both]))
        trusted.append(seen.mean())
    return {
        "left over": f"{np.mean(left):.2f}",
        "from dis": f"{np.mean(apart):.2f}",
        "trusted": f"{100 * np.mean(trusted):.0f} %",
    }


def main() -> None:
    printer = Printer(None)
    for about, lit in (("as they are", 1.0), ("darker by a tenth", 0.9)):
        printer.table([{f"scenes, {about}": name} | known_motion(name, lit) for name in METHODS])
    for folder in sys.argv[1:]:
        pairs = list(filmed(Path(folder)))
        printer.table([{"clips": name} | on_clips(name, pairs) for name in METHODS])


if __name__ == "__main__":
    main()
