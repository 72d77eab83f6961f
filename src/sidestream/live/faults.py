"""Failures on purpose, by the name of a point, for tests and drills. Without a plan nothing of this is in the way."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from sidestream.build import Built
    from sidestream.seams import EditModel
    from sidestream.types import Batch, Prompt, TextState

Point = Literal["load", "batch", "encode_text", "encode_image", "denoise", "decode"]
Kind = Literal["raise", "nan", "hang", "exit", "out_of_memory"]
LOST = 86
"""Exit code of a worker whose device is lost."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    point: Point
    kind: Kind
    at: int = 1
    """The first time that it happens, counted from 1 in each worker."""
    times: int = 1
    """How often in a row."""
    worker: int | None = 1
    """Which worker of the studio, counted from 1; None: every one."""
    seat: int | None = None
    """At `batch`: only where this seat's frame is in it."""
    frames: int = 1
    """At `batch`: only where it has at least so many."""


@dataclass(frozen=True)
class FaultPlan:
    faults: tuple[Fault, ...] = ()

    def of(self, worker: int) -> FaultPlan:
        return FaultPlan(tuple(one for one in self.faults if one.worker in (None, worker)))


class Faults:
    """Counts how often each fault's point was passed in this process."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._passed: Counter[Fault] = Counter()

    def __bool__(self) -> bool:
        return bool(self._plan.faults)

    def hit(self, point: Point, seats: Sequence[int] = ()) -> bool:
        """Fails if it is time to; True where the numbers are to be spoiled."""
        spoil = False
        for one in self._plan.faults:
            here = one.seat is None or one.seat in seats
            if one.point != point or not here or (point == "batch" and len(seats) < one.frames):
                continue
            self._passed[one] += 1
            if one.at <= self._passed[one] < one.at + one.times:
                spoil = _fail(one) or spoil
        return spoil

    def install(self, built: Built) -> None:
        """Puts the points into an engine and the model behind it."""
        engine, observe = built.engine, built.engine.observe
        engine.prepare.model = engine.render.model = FaultyModel(built.model, self)

        def observed(batch: Batch) -> Batch:
            self.hit("batch", [job.stream.slot for job in batch.jobs])
            return observe(batch)

        engine.observe = observed


@dataclass(frozen=True, eq=False)
class FaultyModel:
    """An edit model whose methods are points."""

    model: EditModel
    faults: Faults = field(default_factory=lambda: Faults(FaultPlan()))

    def encode_text(
        self, pictures_BCHW: torch.Tensor, prompts: Sequence[Sequence[Prompt]]
    ) -> TextState:
        self.faults.hit("encode_text")
        return self.model.encode_text(pictures_BCHW, prompts)

    def encode_image(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        return self._spoilt("encode_image", lambda: self.model.encode_image(pictures_BCHW))

    def denoise(
        self, noise_BCHW: torch.Tensor, source_BCHW: torch.Tensor, text: TextState, steps: int
    ) -> torch.Tensor:
        return self._spoilt(
            "denoise", lambda: self.model.denoise(noise_BCHW, source_BCHW, text, steps)
        )

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        return self._spoilt("decode", lambda: self.model.decode(latents_BCHW))

    def _spoilt(self, point: Point, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        spoil = self.faults.hit(point)
        made = make()
        return made * float("nan") if spoil else made


def _fail(fault: Fault) -> bool:
    match fault.kind:
        case "nan":
            return True
        case "raise":
            raise RuntimeError(f"a fault was asked for at {fault.point}")
        case "out_of_memory":
            import torch

            raise torch.OutOfMemoryError(f"a fault was asked for at {fault.point}")
        case "exit":
            os._exit(LOST)
        case "hang":
            threading.Event().wait()
    return False
