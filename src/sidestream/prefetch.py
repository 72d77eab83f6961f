"""Run an iterator one step ahead, a consumer some items behind. The only file with lanes: threads and CUDA streams.

On a CPU a lane is a one-thread executor asked for `next()` one ahead: order, errors and shutdown come with
it. On CUDA one thread launches everything: the next item is issued on a side stream before the caller works
on this one, and one event joins the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Like `map`, but closing it closes `items`."""
    iterator = iter(items)
    try:
        for item in iterator:
            yield function(item)
    finally:
        _close(iterator)


def ahead(items: Iterable[T]) -> Generator[T]:
    """`items` in order, each computed in another thread while the consumer works on the one before.

    An error of `items` arrives at the consumer in its place. Leaving early closes `items` in its own thread,
    once the `next()` that is going on returns: a live source must not stay silent for ever.
    """
    iterator = iter(items)

    def step() -> tuple[T] | None:
        with torch.inference_mode():
            return next(((item,) for item in iterator), None)

    with ThreadPoolExecutor(1, "sidestream-lane") as lane:
        coming = lane.submit(step)
        try:
            while (item := coming.result()) is not None:
                coming = lane.submit(step)
                yield item[0]
        finally:
            closing: Future[None] | None = None
            with suppress(RuntimeError):  # the interpreter is ending and takes no more work
                closing = lane.submit(_close, iterator)
            if closing is not None:
                closing.result()


@contextmanager
def behind(consume: Callable[[T], object], depth: int) -> Generator[Callable[[T], None]]:
    """A function that has `consume` called in another thread, in order, at most `depth` items behind.

    An error of `consume` arrives at the next call or when the block ends; what was still waiting is dropped,
    as it is when the block is left by an error.
    """
    waiting: deque[Future[None]] = deque()
    broken = False

    def step(item: T) -> None:
        nonlocal broken
        if not broken:
            broken = True
            consume(item)
            broken = False

    def put(item: T) -> None:
        while waiting and (len(waiting) >= depth or waiting[0].done()):
            waiting.popleft().result()
        waiting.append(lane.submit(step, item))

    lane = ThreadPoolExecutor(1, "sidestream-lane")
    try:
        yield put
        while waiting:
            waiting.popleft().result()
    finally:
        lane.shutdown(cancel_futures=True)


def prefetch(items: Iterable[T], device: torch.device) -> Generator[T]:
    """The side lane: `items` one ahead of the main lane, on the device's side stream where it has one."""
    if device.type == "cuda":  # pragma: no cover - cuda
        return _on_side_stream(items, device)
    return ahead(items)


def upload(on_host: torch.Tensor, device: torch.device) -> torch.Tensor:
    """To the device without waiting, which on CUDA needs pinned memory."""
    if device.type == "cuda":  # pragma: no cover - cuda
        on_host = on_host.pin_memory()
    return on_host.to(device, non_blocking=True)


def upload_stack(arrays: Sequence[NDArray[np.uint8]], device: torch.device) -> torch.Tensor:
    """Arrays of one shape as one tensor on the device, copied once on the host: to where the device can fetch them."""
    shape = (len(arrays), *arrays[0].shape)
    stack = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(arrays, out=stack.numpy())
    return stack.to(device, non_blocking=True)


def _on_side_stream(
    items: Iterable[T], device: torch.device
) -> Generator[T]:  # pragma: no cover - cuda
    side = torch.cuda.Stream(device)
    iterator = iter(items)

    def step() -> tuple[tuple[T] | None, torch.cuda.Event]:
        # What the main stream has launched so far may still read tensors of items already dropped:
        # their memory must not be written by this step before that work is done.
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.inference_mode(), torch.cuda.stream(side):
            item = next(((item,) for item in iterator), None)
            ready = torch.cuda.Event()
            ready.record(side)
            return item, ready

    try:
        item, ready = step()
        while item is not None:
            torch.cuda.current_stream(device).wait_event(ready)
            failure: Exception | None = None
            coming = (None, ready)
            try:
                coming = step()
            except Exception as error:  # noqa: BLE001 - it is raised again, after the item before it
                failure = error
            yield item[0]
            if failure is not None:
                raise failure
            item, ready = coming
    finally:
        _close(iterator)


def _close(iterator: object) -> None:
    close: Callable[[], None] | None = getattr(iterator, "close", None)
    if close is not None:
        close()
