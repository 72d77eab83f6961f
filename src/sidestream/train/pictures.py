"""Training pictures on disk, as they are and as every style paints them: rendered once, read at random."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from sidestream.config import LIMITS, Size
from sidestream.errors import SinkError
from sidestream.types import Pixels

PIECE = 64
"""Pictures rendered at a time: what an interruption can cost."""

Shelf = NDArray[np.uint8]
"""N x H x W x 3."""
Piece = NDArray[np.intp]
"""Numbers of pictures."""
Draw = Callable[[int], Pixels]
Painter = Callable[[Pixels], Pixels]
Told = Callable[[int, int], None]


def drawn(path: Path, count: int, size: Size, draw: Draw, *, workers: int = 1, told: Told) -> Shelf:
    """Pictures number 0 to `count`, those that are not in the file yet drawn first."""
    return _filled(path, (count, size.height, size.width, 3), draw, workers, told)


def painted(path: Path, pictures: Path, paint: Painter, *, workers: int = 1, told: Told) -> Shelf:
    """The pictures of a file as a painter paints them."""
    shape = np.load(pictures, mmap_mode="r").shape
    return _filled(path, shape, partial(_paint, pictures, paint), workers, told)


def _paint(pictures: Path, paint: Painter, index: int) -> Pixels:
    return paint(np.array(np.load(pictures, mmap_mode="r")[index]))


def _filled(path: Path, shape: tuple[int, ...], make: Draw, workers: int, told: Told) -> Shelf:
    """A file that says of every picture whether it is done."""
    done_path = path.with_suffix(".done.npy")
    if not done_path.is_file() or shape_of(path) != shape:
        # It goes first and comes last, so that it never speaks of another file.
        done_path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        check_room(path.parent, math.prod(shape))
        open_memmap(path, "w+", np.uint8, shape)
        open_memmap(done_path, "w+", np.bool_, shape[:1])
    missing = np.flatnonzero(~np.load(done_path))
    pieces = [missing[first : first + PIECE] for first in range(0, len(missing), PIECE)]
    fill = partial(_fill, path, done_path, make)
    for number, _ in enumerate(_each(fill, pieces, workers), 1):
        told(min(shape[0], shape[0] - len(missing) + number * PIECE), shape[0])
    return np.load(path, mmap_mode="r")


def shape_of(path: Path) -> tuple[int, ...] | None:
    """Of the array in a file, if there is one."""
    return np.load(path, mmap_mode="r").shape if path.is_file() else None


def check_room(folder: Path, needed: int) -> None:
    """Refuses what the disk cannot hold: a mapped file takes its room as it is filled, and a full disk ends the process."""
    free = shutil.disk_usage(folder).free
    if free < needed + LIMITS.min_free_bytes:
        raise SinkError(
            f"training pictures in {folder} take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free:"
            " make room, or render fewer"
        )


def _each(fill: Callable[[Piece], None], pieces: Iterable[Piece], workers: int) -> Iterator[None]:
    """One worker is this process itself."""
    if workers == 1:
        yield from map(fill, pieces)
        return
    # Not forked: a lock that another thread holds at that moment would stay locked for ever.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_alone) as pool:
        yield from pool.map(fill, pieces)


def _alone() -> None:
    """Processes share the processor already."""
    import cv2

    cv2.setNumThreads(1)


def _fill(path: Path, done_path: Path, make: Draw, piece: Piece) -> None:
    shelf, done = np.load(path, mmap_mode="r+"), np.load(done_path, mmap_mode="r+")
    for index in piece:
        shelf[index] = make(int(index))
    shelf.flush()
    done[piece] = True
