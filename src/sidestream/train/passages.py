"""Short clips on disk with the flow that is known and the flow that would be estimated, to learn steadiness from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.flow import Backward, Flow, between, chain, grey
from sidestream.train.pictures import check_room, shape_of
from sidestream.types import Pixels

Step = tuple[Pixels, Flow | None, NDArray[np.bool_]]
"""A frame, its backward flow, and what it reveals."""


@dataclass(frozen=True)
class Passages:
    """N clips of T frames; flows lead from a frame to the one before, so that those of the first count for nothing."""

    frames: NDArray[np.uint8]
    """N x T x H x W x 3."""
    flows: NDArray[np.float16]
    """N x T x H x W x 2."""
    revealed: NDArray[np.bool_]
    guessed: NDArray[np.float16]
    """As the engine estimates it."""
    lost: NDArray[np.bool_]
    """Where the engine trusts no estimate."""

    def __len__(self) -> int:
        return len(self.frames)

    def known(self, clip: int, first: int, last: int) -> Backward:
        return self._chained(self.flows, self.revealed, clip, first, last)

    def estimated(self, clip: int, first: int, last: int) -> Backward:
        return self._chained(self.guessed, self.lost, clip, first, last)

    @staticmethod
    def _chained(
        flows: NDArray[np.float16], hidden: NDArray[np.bool_], clip: int, first: int, last: int
    ) -> Backward:
        """From frame `last` back to frame `first`."""
        steps = [
            Backward(flows[clip, time].astype(np.float32), np.asarray(hidden[clip, time]))
            for time in range(first + 1, last + 1)
        ]
        return reduce(chain, steps)


def passages(
    folder: Path,
    count: int,
    length: int,
    size: Size,
    clip: Callable[[int], Iterator[Step]],
    told: Callable[[int, int], None],
) -> Passages:
    """The clips of the folder; those that are not there yet are made first."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = (count, length, size.height, size.width)
    shapes: Mapping[str, tuple[tuple[int, ...], type]] = {
        "frames": ((*grid, 3), np.uint8),
        "flows": ((*grid, 2), np.float16),
        "revealed": (grid, np.bool_),
        "guessed": ((*grid, 2), np.float16),
        "lost": (grid, np.bool_),
    }
    paths = {name: folder / f"{name}.npy" for name in shapes}
    done_path = folder / "done.npy"
    if not done_path.is_file() or shape_of(paths["frames"]) != shapes["frames"][0]:
        done_path.unlink(missing_ok=True)
        sizes = (math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes.values())
        check_room(folder, sum(sizes))
        for name, (shape, dtype) in shapes.items():
            open_memmap(paths[name], "w+", dtype, shape)
        open_memmap(done_path, "w+", np.bool_, (count,))
    arrays = {name: np.load(path, mmap_mode="r+") for name, path in paths.items()}
    done = np.load(done_path, mmap_mode="r+")
    for index in np.flatnonzero(~done):
        _write(arrays, int(index), list(clip(int(index))))
        done[index] = True
        told(int(done.sum()), count)
    return Passages(**{field.name: arrays[field.name] for field in fields(Passages)})


def _write(arrays: Mapping[str, NDArray[np.generic]], index: int, steps: Sequence[Step]) -> None:
    for time, (pixels, flow, revealed) in enumerate(steps):
        arrays["frames"][index, time] = pixels
        if flow is not None:
            arrays["flows"][index, time], arrays["revealed"][index, time] = flow, revealed
    for time, (before, after) in enumerate(pairwise(steps), 1):
        found = between(grey(before[0]), grey(after[0]))
        arrays["guessed"][index, time], arrays["lost"][index, time] = found
