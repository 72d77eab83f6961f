"""What stands in for CUDA graphs on a CPU: operations are written down with the very memory that they read and write.

A replay does them again there, without any of the Python in between, so that whatever was computed by the host is as it
was when the tape was made, and memory that was exchanged since is not found. Between two replays of a lane the memory that
its graphs share holds nothing of use. Operations that a capture would not survive are errors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sidestream.bench.work import must_wait
from sidestream.models.trees import leaves

R = TypeVar("R")
LIFTS = {"aten::lift_fresh", "aten::lift_fresh_copy"}
"""What brings numbers of the host to the device."""


class Tapes:
    """The graphs of one lane, as `capture.py: Graphs` asks for them."""

    def __init__(self) -> None:
        self.made = 0
        self.replayed = 0
        self._lock = threading.RLock()
        self._shared: list[torch.Tensor] = []

    @contextmanager
    def turn(self) -> Generator[None]:
        with self._lock:
            yield

    def capture(self, function: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        self._spoil()
        with _Recorder() as recorder:
            made = function()
        self._shared += recorder.written
        self.made += 1

        def replay() -> None:
            self._spoil()
            for step in recorder.steps:
                step()
            self.replayed += 1

        return made, replay

    def _spoil(self) -> None:
        for tensor in self._shared:
            tensor.fill_(torch.nan if tensor.is_floating_point() else 1)


class Reruns(Tapes):
    """The same for functions that are compiled, which cannot be looked into: they are run again."""

    def capture(self, function: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        self._spoil()
        made = function()
        self._shared += leaves(made)
        self.made += 1

        def replay() -> None:
            self._spoil()
            _again(function(), made)
            self.replayed += 1

        return made, replay


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Callable[[], object]] = []
        self.written: list[torch.Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if must_wait(func, args) or func._schema.name in LIFTS:
            raise RuntimeError(f"{func} cannot be captured")
        result = func(*args, **kwargs)
        if func._schema.is_mutable:
            self.steps.append(lambda: func(*args, **kwargs))
            return result
        read = {one.untyped_storage().data_ptr() for one in leaves((args, list(kwargs.values())))}
        new = [one for one in leaves(result) if one.untyped_storage().data_ptr() not in read]
        if new or not leaves(result):
            self.written += new
            self.steps.append(lambda: _again(func(*args, **kwargs), result))
        return result


def _again(fresh: Any, kept: Any) -> None:
    for source, target in zip(leaves(fresh), leaves(kept), strict=True):
        target.copy_(source)
