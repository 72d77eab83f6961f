"""How the functions of each lane are made fast: compiled, captured, both or neither."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

import torch

from sidestream.models.capture import Captured, CudaGraphs, Graphs
from sidestream.models.compile import Backend, Background, CompiledBehind, compiled

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


@dataclass(frozen=True)
class Lane:
    """Functions that are launched one after the other."""

    backend: Backend | None = None
    """What compiles."""
    background: Background | None = None
    """Where it does; None: at once, when a shape is first met."""
    graphs: Graphs | None = None
    """Where graphs are captured."""

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
        backend = self.backend if fuse else None
        if backend is None or self.background is None:
            function = compiled(function, backend)
            return function if self.graphs is None else Captured(function, self.graphs, reads=reads)
        behind = CompiledBehind(function, compiled(function, backend), self.background)
        if self.graphs is None:
            return behind
        quiet = self.background.quiet
        return Captured(behind, self.graphs, reads=reads, ready=behind.ready, quiet=quiet)


@dataclass(frozen=True)
class Lanes:
    """The two that launch on the device."""

    side: Lane = field(default_factory=Lane)
    main: Lane = field(default_factory=Lane)
    background: Background | None = None

    @classmethod
    def on(
        cls,
        device: torch.device,
        *,
        backend: Backend | None = None,
        background: Background | None = None,
        capture: bool = True,
    ) -> Lanes:
        """Compiled by a backend, if one is named, in a background, if there is one; captured where graphs are CUDA's."""

        def lane() -> Lane:
            graphs = CudaGraphs(device) if capture and device.type == "cuda" else None
            return Lane(backend, background, graphs)

        return cls(lane(), lane(), background)

    def close(self) -> None:
        if self.background is not None:
            self.background.close()
