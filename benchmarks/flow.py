"""How exact each method of optical flow is, and how long it takes: python benchmarks/flow.py [--records FILE] [CLIPS...].

On scenes of our own, whose motion is known; and on folders of clips, where it is not, how well the old picture moved
along the flow shows the new one, and how far the flow is from that of DIS: both over the pixels that all methods trust,
for who trusts little would have it easy. The table is drawn from the records.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import torch

from sidestream import flow, flow_dense, records
from sidestream.config import Size
from sidestream.eval import clips
from sidestream.eval.clips import Clip
from sidestream.eval.results import Results
from sidestream.flow import Backward, Flow, Grey
from sidestream.report import environment
from sidestream.synth.scenes import scene
from sidestream.types import Pixels, Record

SIZE = Size(256, 256)
SEEDS = range(2**33, 2**33 + 6)
EVERY = 8
"""Frames between those that are looked at."""
LIGHTS = (1.0, 0.9)
"""Of the second picture by the first."""
Between = Callable[[Grey, Grey], Backward]
Pair = tuple[Pixels, Pixels]


def dense(old: Grey, new: Grey) -> Backward:
    greys = (torch.from_numpy(one).float()[None, None] for one in (old, new))
    with torch.inference_mode():
        found = flow_dense.between(*greys)
    return Backward(found.backward_BHW2[0].numpy(), found.occluded_B1HW[0, 0].numpy())


METHODS: dict[str, Between] = {
    "DIS": flow.between,
    "Farneback, both ways": lambda old, new: flow.between(old, new, flow.farneback),
    "Farneback as the paper has it": flow.mirrored,
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


def known_motion(name: str, lit: float) -> Record:
    errors, wrong, seconds = zip(*(_judged(METHODS[name], *one) for one in drawn(lit)), strict=True)
    metrics = {
        "error": float(np.mean(errors)),
        "off_by_1": float(np.mean(wrong)),
        "ms": 1000 * float(np.median(seconds)),
    }
    return _record("known motion", name, metrics, len(errors), lit=lit, seeds=list(SEEDS))


def _judged(between: Between, pair: Pair, known: Flow) -> tuple[float, float, float]:
    """End-point error in pixels and how much is off by one, where flow leads into the picture; and the thread's time."""
    old, new = map(flow.grey, pair)
    begin = time.thread_time()
    found = between(old, new)
    seconds = time.thread_time() - begin
    x, y = flow.targets_of(known)
    inside = (x >= 0) & (x <= SIZE.width - 1) & (y >= 0) & (y <= SIZE.height - 1)
    error = np.linalg.norm(found.flow - known, axis=-1)[inside]
    return float(error.mean()), float((error > 1).mean()), seconds


def on_clip(clip: Clip) -> Iterator[Record]:
    pairs = list(islice(pairwise(clip.frames), 4, None, EVERY))
    of_pairs = [_beside_each_other(pair) for pair in pairs]
    for name in METHODS:
        found = [one[name] for one in of_pairs]
        metrics = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        yield _record("clips", name, metrics, len(pairs), clip.name)


def _beside_each_other(pair: Pair) -> dict[str, dict[str, float]]:
    old, new = map(flow.grey, pair)
    found = {name: between(old, new) for name, between in METHODS.items()}
    by_all = ~np.any([one.occluded for one in found.values()], axis=0)

    def figures(one: Backward) -> dict[str, float]:
        moved = flow.gather(old.astype(np.float32), *flow.targets_of(one.flow))
        return {
            "left_over": np.abs(moved - new)[by_all].mean(),
            "from_dis": np.median(np.linalg.norm(one.flow - found["DIS"].flow, axis=-1)[by_all]),
            "trusted": 1 - one.occluded.mean(),
            "trusted_by_all": by_all.mean(),
        }

    return {name: figures(one) for name, one in found.items()}


def _record(
    table: str,
    row: str,
    metrics: dict[str, float],
    pairs: int,
    clip: str | None = None,
    **more: object,
) -> Record:
    config = {"size": str(SIZE), "pairs": pairs, **more}
    commit = records.commit(Path(__file__).parent)
    made_by = {**environment(torch.device("cpu")), "commit": commit}
    return Record(
        table=table, row=row, metrics=metrics, config=config, environment=made_by, clip=clip
    )


def table(found: Iterable[Record]) -> str:
    results = Results(found)

    def line(name: str) -> list[str]:
        def known(metric: str, lit: float = 1.0) -> float:
            return results.mean(metric, "known motion", name, lit=lit)

        def filmed(metric: str) -> float:
            return results.mean(metric, "clips", name)

        return [
            name,
            f"{known('error'):.2f}",
            f"{100 * known('off_by_1'):.1f} %",
            f"{known('error', lit=LIGHTS[1]):.2f}",
            f"{known('ms'):.0f}",
            f"{filmed('left_over'):.2f}",
            f"{filmed('from_dis'):.2f}",
            f"{100 * filmed('trusted'):.0f} %",
        ]

    of_motion = ("", "error, pixels", "off by 1", "error, a tenth darker", "ms a pair")
    return records.table((*of_motion, "left over", "from DIS", "trusted"), map(line, METHODS))


def measured(folders: Iterable[Path]) -> Iterator[Record]:
    for lit in LIGHTS:
        for name in METHODS:
            yield known_motion(name, lit)
    for folder in folders:
        for clip in clips.load(folder, SIZE):
            if not clip.is_cut:
                yield from on_clip(clip)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, help="where to write what was measured, anew")
    parser.add_argument("folders", nargs="*", type=Path, help="of clips")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = list(measured(asked.folders))
    if asked.records:
        records.write(asked.records, found)
    print(table(found))


if __name__ == "__main__":
    main()
