"""How the functions of each lane are made fast: compiled, captured, both or neither."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple

import torch

from sidestream.models.capture import Captured, CudaGraphs, Graphs
from sidestream.models.compile import Background, CompiledBehind, Faster, as_it_is

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


@dataclass(frozen=True)
class Lane:
    """Functions that are launched one after the other."""

    faster: Faster = as_it_is
    """What compiles or converts a function, when it is first called with a shape."""
    background: Background | None = None
    """Where it does; None: at once."""
    graphs: Graphs | None = None
    """Where graphs are captured."""
    quiet: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever must not be disturbed by a capture."""

    def make(
        self,
        function: Callable[[*Ts], R],
        reads: Callable[[], Sequence[torch.Tensor]] = tuple,
        *,
        fuse: bool = True,
    ) -> Callable[[*Ts], R]:
        """The same function, faster; what it reads as `capture.py: Captured` says.

        Without `fuse` it is captured alone: where neighbourhoods are averaged, a compiler computes each pixel many times;
        and what writes to memory that stays would do so at any time, if it were compiled in the background.
        """
        faster: Callable[[*Ts], R] = self.faster(function) if fuse else function
        ready: Callable[[*Ts], bool] = _always
        if self.background is not None and faster is not function:
            behind = CompiledBehind(function, faster, self.background)
            faster, ready = behind, behind.ready
        if self.graphs is None:
            return faster
        return Captured(faster, self.graphs, reads=reads, ready=ready, quiet=self.quiet)


def _always(*given: Any) -> bool:
    return True


@dataclass(frozen=True)
class Lanes:
    """The two that launch on the device."""

    side: Lane = field(default_factory=Lane)
    main: Lane = field(default_factory=Lane)

    @classmethod
    def on(
        cls,
        device: torch.device,
        faster: Faster = as_it_is,
        *,
        background: Background | None = None,
        capture: bool = True,
    ) -> Lanes:
        """Functions are made faster in a background, if there is one; captured where graphs are CUDA's."""
        quiet = background.quiet if background else threading.Lock()

        def lane() -> Lane:
            graphs = CudaGraphs(device) if capture and device.type == "cuda" else None
            return Lane(faster, background, graphs, quiet)

        return cls(lane(), lane())

    def close(self) -> None:
        for lane in (self.side, self.main):
            if lane.background is not None:
                lane.background.close()
