"""The main lane: conditioning from the last output, K steps, pixels. Delivers what has finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sidestream import flow
from sidestream.config import BATCH_SIZES, Size
from sidestream.media import pixels
from sidestream.seams import EditModel, TemporalAdapter
from sidestream.stream import Main, Stream
from sidestream.timing import Spans
from sidestream.types import Frame, Job, Prepared, Styled

SCRATCH_ROWS = BATCH_SIZES[-1]
"""Rows of the adapter's bank for the places of a batch; each stream's own row lies behind them."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered batch whose pixels may still be on their way to the host."""

    prepared: Prepared
    pixels_BHWC: torch.Tensor
    finite_B: torch.Tensor
    ready: torch.cuda.Event | None


class Renderer:
    """Turns prepared batches into pictures; what it remembers lies in each stream's main part."""

    def __init__(
        self,
        model: EditModel,
        adapter: TemporalAdapter | None,
        device: torch.device,
        spans: Spans,
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.device = device
        self.spans = spans
        self.failed = 0
        """Frames that were not finite."""

    def __call__(self, prepared: Prepared) -> Rendered:
        batch = prepared.batch
        inputs = pixels.to_unit(prepared.pixels_BHWC, torch.float32)
        if self.adapter is not None:
            with self.spans("conditioning"):
                self._condition(self.adapter, prepared, inputs)
        with self.spans("denoise"):
            latents = self.model.denoise(
                prepared.noise_BCHW, prepared.source_BCHW, prepared.text, batch.key.steps
            )
        with self.spans("decode"):
            made = self.model.decode(latents).float()
            finite = made.isfinite().flatten(1).all(dim=1)
            made = torch.where(finite[:, None, None, None], made.clamp(-1, 1), inputs)
        with self.spans("finish"):
            shown = self._blend(prepared, made)
            strength = self._per_slot([job.controls.strength for job in batch.padded])
            result = pixels.to_bytes(torch.lerp(inputs, shown, strength[:, None, None, None]))
            self._remember(prepared, made, shown)
            return self._fetch(prepared, result, finite)

    def deliver(self, rendered: Rendered) -> Iterator[Styled]:
        """The frames of a batch in order; a frame that is not finite shows the last good one."""
        if rendered.ready is not None:  # pragma: no cover - cuda
            rendered.ready.synchronize()
        result, finite = rendered.pixels_BHWC.numpy(), rendered.finite_B.tolist()
        for place, job in enumerate(rendered.prepared.batch.jobs):
            stream, good = job.stream, bool(finite[place])
            if good:
                picture = result[place]
                stream.main = replace(stream.main, good=picture)
            else:
                self.failed += 1
                stream.renew()
                kept = stream.main.good
                fits = kept is not None and kept.shape == job.frame.pixels.shape
                picture = kept if kept is not None and fits else job.frame.pixels
            frame = Frame(picture, job.frame.pts, job.frame.time_base, job.frame.index)
            yield Styled(frame, job.frame, job.plan, job.controls, stream, good)

    def _condition(
        self, adapter: TemporalAdapter, prepared: Prepared, inputs_BCHW: torch.Tensor
    ) -> None:
        """Writes the warped last outputs into rows and tells every slot which row to read, and how strongly."""
        batch = prepared.batch
        adapter.resize(batch.key.size)
        last = {job.stream: place for place, job in enumerate(batch.jobs)}
        rows: list[int] = []
        multipliers: list[float] = []
        writes: list[int] = []
        for place, job in enumerate(batch.jobs):
            home = SCRATCH_ROWS + job.stream.slot
            main = job.stream.main
            current = _carries(job)
            warpable = (
                current and main.output_CHW is not None and batch.flows.anchor[place] is not None
            )
            if job.plan.conditioning == "refresh" and warpable:
                writes.append(place)
                rows.append(home if last[job.stream] == place else place)
                multipliers.append(job.controls.stability)
            else:
                rows.append(home)
                multipliers.append(job.controls.stability if current and main.conditioned else 0.0)
        if writes:
            pictures = self._pictures(prepared, inputs_BCHW, writes)
            adapter.write(self._index([rows[place] for place in writes]), pictures)
        spare = batch.slots - len(rows)
        adapter.select(
            self._index(rows + rows[-1:] * spare),
            self._per_slot(multipliers + multipliers[-1:] * spare),
        )
        for place in writes:
            stream = batch.jobs[place].stream
            stream.main = replace(stream.main, conditioned=True)

    def _pictures(
        self, prepared: Prepared, inputs_BCHW: torch.Tensor, places: list[int]
    ) -> torch.Tensor:
        """The last output where the flow says it went; where nothing was there before, the input."""
        flows, jobs = prepared.batch.flows, prepared.batch.jobs
        outputs = torch.stack([_output(jobs[place]) for place in places])
        backward, occluded = self._stacked(
            [flows.anchor[place] for place in places],
            [flows.occluded[place] for place in places],
            prepared.batch.key.size,
        )
        warped = flow.warp(outputs, backward)
        return torch.where(occluded, inputs_BCHW[self._index(places)], warped)

    def _stacked(
        self,
        flows: Sequence[NDArray[np.float32] | None],
        occluded: Sequence[NDArray[np.bool_] | None],
        size: Size,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = flow.stacked(flows, occluded, len(flows), size)
        backward, hidden = (part.to(self.device, non_blocking=True) for part in found)
        return backward, hidden

    def _blend(self, prepared: Prepared, made_BCHW: torch.Tensor) -> torch.Tensor:
        """Each frame mixed with the warped one before it, frame by frame; nothing where the flow has no trust."""
        jobs, flows = prepared.batch.jobs, prepared.batch.flows
        if not any(job.stream.config.blend for job in jobs):
            return made_BCHW
        shown = list(made_BCHW.unbind())
        newest: dict[Stream, torch.Tensor | None] = {}
        for place, job in enumerate(jobs):
            carried = job.stream.main.shown_CHW if _carries(job) else None
            before = newest.get(job.stream, carried)
            if job.stream.config.blend and before is not None and flows.step[place] is not None:
                backward, occluded = self._stacked(
                    [flows.step[place]], [flows.step_occluded[place]], prepared.batch.key.size
                )
                warped = flow.warp(before[None], backward)
                mixed = torch.lerp(shown[place][None], warped, job.stream.config.blend)
                shown[place] = torch.where(occluded, shown[place][None], mixed)[0]
            newest[job.stream] = shown[place]
        return torch.stack(shown)

    def _remember(
        self, prepared: Prepared, made_BCHW: torch.Tensor, shown_BCHW: torch.Tensor
    ) -> None:
        for place, job in enumerate(prepared.batch.jobs):
            main = job.stream.main
            if not _carries(job):
                main = Main(job.plan.epoch, good=main.good)
            job.stream.main = replace(
                main, output_CHW=made_BCHW[place], shown_CHW=shown_BCHW[place]
            )

    def _fetch(self, prepared: Prepared, result: torch.Tensor, finite: torch.Tensor) -> Rendered:
        if self.device.type != "cuda":
            return Rendered(prepared, result, finite, None)
        result = result.to("cpu", non_blocking=True)  # pragma: no cover - cuda
        finite = finite.to("cpu", non_blocking=True)  # pragma: no cover - cuda
        ready = torch.cuda.Event()  # pragma: no cover - cuda
        ready.record(torch.cuda.current_stream(self.device))  # pragma: no cover - cuda
        return Rendered(prepared, result, finite, ready)  # pragma: no cover - cuda

    def _index(self, places: list[int]) -> torch.Tensor:
        return torch.tensor(places).to(self.device, non_blocking=True)

    def _per_slot(self, values: list[float]) -> torch.Tensor:
        return torch.tensor(values).to(self.device, non_blocking=True)


def _carries(job: Job) -> bool:
    """Whether what the main lane remembers of the job's stream belongs to the job's scene."""
    return job.plan.conditioning != "none" and job.stream.main.epoch == job.plan.epoch


def _output(job: Job) -> torch.Tensor:
    output = job.stream.main.output_CHW
    assert output is not None
    return output
