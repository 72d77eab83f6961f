"""The loop: batches in, restyled frames out, everything that can run ahead running ahead."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace

import torch

from sidestream import flow
from sidestream.config import ModelConfig
from sidestream.errors import EngineError
from sidestream.models.lanes import Lanes
from sidestream.prefetch import ahead, each, prefetch
from sidestream.prepare import Preparer
from sidestream.render import Rendered, Renderer
from sidestream.seams import DetailAdapter, EditModel, TemporalAdapter
from sidestream.timing import Spans
from sidestream.types import Batch, Styled


@dataclass
class Tally:
    """What happened, counted by the lane that forms batches."""

    frames: int = 0
    batches: int = 0
    refreshes: Counter[str] = field(default_factory=Counter[str])
    """How often each reason made a plan compute something anew."""


class Engine:
    """Owns the lanes and the model. Streams own what is remembered between frames."""

    def __init__(
        self,
        model: EditModel,
        adapter: TemporalAdapter | None,
        device: torch.device,
        dtype: torch.dtype,
        flow_threads: int = ModelConfig().flow_threads,
        detail: DetailAdapter | None = None,
        lanes: Lanes = Lanes(),
    ) -> None:
        self.adapter = adapter
        self.detail = detail
        self.device = device
        self.spans = Spans(device)
        self.prepare = Preparer(model, device, dtype, self.spans, lanes.side)
        self.render = Renderer(model, adapter, device, self.spans, detail, lanes.main)
        self.tally = Tally()
        self._pool = ThreadPoolExecutor(flow_threads, "sidestream-flow")
        self._rendering = threading.Lock()
        self._closed = False

    @property
    def steadied(self) -> bool:
        """Whether an adapter of either kind carries anything from frame to frame."""
        return self.adapter is not None or self.detail is not None

    def run(self, batches: Iterable[Batch]) -> Generator[Styled]:
        """Every frame of every batch, in order. Closing it closes `batches`, in the lane that pulls them."""
        if self._closed:
            raise EngineError("the model is closed: load it again")
        try:
            yield from self._run(batches)
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"{self.device} has not enough memory for this: use a smaller batch or size"
            ) from error

    def _run(self, batches: Iterable[Batch]) -> Generator[Styled]:
        in_flight: deque[Rendered] = deque()
        # On a GPU the next batch is launched before the pixels of this one are waited for.
        depth = 1 if self.device.type == "cuda" else 0
        with (
            closing(ahead(each(self.observe, batches))) as observed,
            closing(prefetch(each(self.prepare, observed), self.device)) as lane,
        ):
            for prepared in lane:
                # The adapter is told of one batch at a time, whichever thread the batch comes from.
                with self._rendering, torch.inference_mode():
                    in_flight.append(self.render(prepared))
                if len(in_flight) > depth:
                    yield from self.render.deliver(in_flight.popleft())
            while in_flight:  # pragma: no cover - cuda
                yield from self.render.deliver(in_flight.popleft())

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(cancel_futures=True)

    def observe(self, batch: Batch) -> Batch:
        """Adds the flows that the batch's plans ask for."""
        self.tally.frames += len(batch.jobs)
        self.tally.batches += 1
        plans = {job.stream: job.plan for job in batch.jobs}
        self.tally.refreshes.update(why for plan in plans.values() for why in plan.reasons)
        stepwise = any(job.steps_on(detail=self.detail is not None) for job in batch.jobs)
        if self.adapter is None and not stepwise:
            return batch
        with self.spans("flow", host=True):
            flows = flow.flows_of(
                batch,
                batch.key.flow,
                anchored=self.adapter is not None,
                stepwise=stepwise,
                pool=self._pool,
            )
        return replace(batch, flows=flows)
