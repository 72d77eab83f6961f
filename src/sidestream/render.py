"""The main lane: conditioning from the last output, K steps, pixels. Delivers what has finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from sidestream import flow
from sidestream.batching import filled, slots_for
from sidestream.config import BATCH_SIZES
from sidestream.media import pixels
from sidestream.models.lanes import Lane
from sidestream.prefetch import upload
from sidestream.seams import DetailAdapter, EditModel, TemporalAdapter
from sidestream.stream import Main, Stream
from sidestream.timing import Spans
from sidestream.types import Frame, Job, Pixels, Prepared, Styled, Warp

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
        detail: DetailAdapter | None = None,
        lane: Lane = Lane(),
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.detail = detail
        self.device = device
        self.spans = spans
        self.failed = 0
        """Frames that were not finite."""
        self._write = (
            None if adapter is None else lane.make(adapter.write, adapter.banks, fuse=False)
        )
        self._checked, self._finished = lane.make(_checked), lane.make(_finished)
        self._moved = lane.make(_moved)
        self._detailed = None if detail is None else lane.make(detail, fuse=False)

    def __call__(self, prepared: Prepared) -> Rendered:
        batch, inputs = prepared.batch, prepared.inputs_BCHW
        if self.adapter is not None and self._write is not None:
            with self.spans("conditioning"):
                self._condition(self.adapter, self._write, prepared)
        with self.spans("denoise"):
            latents = self.model.denoise(
                prepared.noise_BCHW, prepared.source_BCHW, prepared.text, batch.key.steps
            )
        with self.spans("decode"):
            made, finite = self._checked(self.model.decode(latents), inputs)
        with self.spans("join"):
            shown = self._joined(prepared, made)
        with self.spans("finish"):
            strength = self._per_slot([job.controls.strength for job in batch.padded])
            result = self._finished(inputs, shown, strength)
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
                stream.renew("failed")
                stream.main = Main(good=stream.main.good)
                picture = _fallback(job)
            frame = Frame(picture, job.frame.pts, job.frame.time_base, job.frame.index)
            yield Styled(frame, job.frame, job.plan, job.controls, stream, good)

    def _condition(
        self,
        adapter: TemporalAdapter,
        write: Callable[[torch.Tensor, torch.Tensor], None],
        prepared: Prepared,
    ) -> None:
        """Writes the warped last outputs into rows and tells every slot which row to read, and how strongly."""
        jobs = prepared.batch.jobs
        bank = adapter.resize(prepared.batch.key.size)
        last = {job.stream: place for place, job in enumerate(jobs)}
        rows: list[int] = []
        multipliers: list[float] = []
        writes: list[int] = []
        for place, job in enumerate(jobs):
            home = SCRATCH_ROWS + job.stream.slot
            main = job.stream.main
            if _refreshes(job):
                writes.append(place)
                rows.append(home if last[job.stream] == place else place)
                multipliers.append(job.controls.stability)
            else:
                known = _carries(job) and main.conditioned == bank
                rows.append(home)
                multipliers.append(job.controls.stability if known else 0.0)
        if writes:
            # The last one again and again, so that as few numbers of rows are met as of slots.
            places = filled(writes, slots_for(len(writes)))
            write(self._index([rows[place] for place in places]), self._pictures(prepared, places))
        slots = prepared.batch.slots
        adapter.select(self._index(filled(rows, slots)), self._per_slot(filled(multipliers, slots)))
        for stream in {jobs[place].stream for place in writes}:
            stream.main = replace(stream.main, conditioned=bank)

    def _pictures(self, prepared: Prepared, places: list[int]) -> torch.Tensor:
        """The last output where the flow says it went; where nothing was there before, the input."""
        assert prepared.anchor is not None
        outputs = torch.stack([_output(prepared.batch.jobs[place]) for place in places])
        way, inputs = prepared.anchor, prepared.inputs_BCHW
        if places != list(range(len(inputs))):
            chosen = self._index(places)
            way = Warp(way.backward_BHW2[chosen], way.occluded_B1HW[chosen])
            inputs = inputs[chosen]
        return self._moved(outputs, way, inputs)

    def _joined(self, prepared: Prepared, made_BCHW: torch.Tensor) -> torch.Tensor:
        """What is shown, frame by frame, each built on the one before it as far as it was asked for."""
        if prepared.step is None:
            return made_BCHW
        stability = self._per_slot([job.controls.stability for job in prepared.batch.jobs])
        shown = list(made_BCHW.split(1))
        newest: dict[Stream, torch.Tensor | None] = {}
        for place, job in enumerate(prepared.batch.jobs):
            carried = job.stream.main.shown_CHW if _carries(job) else None
            before = newest.get(job.stream, None if carried is None else carried[None])
            if before is not None and job.steps_on(detail=self.detail is not None):
                way = prepared.step.row(place)
                shown[place] = self._built(job, shown[place], before, way, stability[place])
            newest[job.stream] = shown[place]
        return torch.cat(shown)

    def _built(
        self,
        job: Job,
        fresh: torch.Tensor,
        before: torch.Tensor,
        way: Warp,
        stability: torch.Tensor,
    ) -> torch.Tensor:
        """One picture with the details of the one before, mixed with it; nothing where the flow has no trust."""
        if self._detailed is not None and job.holds_details:
            fresh = self._detailed(fresh, before, way, stability).clamp(-1, 1)
        if job.stream.config.blend:
            mixed = torch.lerp(fresh, flow.warp(before, way.backward_BHW2), job.stream.config.blend)
            fresh = torch.where(way.occluded_B1HW, fresh, mixed)
        return fresh

    def _remember(
        self, prepared: Prepared, made_BCHW: torch.Tensor, shown_BCHW: torch.Tensor
    ) -> None:
        last = {job.stream: (place, job) for place, job in enumerate(prepared.batch.jobs)}
        for stream, (place, job) in last.items():
            main = stream.main
            if not _carries(job):
                # An epoch of None is what a failure leaves behind.
                main = Main(job.plan.epoch, good=main.good if main.epoch is None else None)
            stream.main = replace(main, output_CHW=made_BCHW[place], shown_CHW=shown_BCHW[place])

    def _fetch(self, prepared: Prepared, result: torch.Tensor, finite: torch.Tensor) -> Rendered:
        if self.device.type != "cuda":
            return Rendered(prepared, result.cpu(), finite.cpu(), None)
        result = result.to("cpu", non_blocking=True)  # pragma: no cover - cuda
        finite = finite.to("cpu", non_blocking=True)  # pragma: no cover - cuda
        ready = torch.cuda.Event()  # pragma: no cover - cuda
        ready.record(torch.cuda.current_stream(self.device))  # pragma: no cover - cuda
        return Rendered(prepared, result, finite, ready)  # pragma: no cover - cuda

    def _index(self, places: list[int]) -> torch.Tensor:
        return upload(torch.tensor(places), self.device)

    def _per_slot(self, values: list[float]) -> torch.Tensor:
        return upload(torch.tensor(values), self.device)


def _checked(
    made_BCHW: torch.Tensor, inputs_BCHW: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model made, or the input where that is not finite; and which are."""
    made = made_BCHW.float()
    # Both are not finite where any is not; a tenth of the time of asking every one.
    finite_B = made.amax((1, 2, 3)).isfinite() & made.amin((1, 2, 3)).isfinite()
    return torch.where(finite_B[:, None, None, None], made.clamp(-1, 1), inputs_BCHW), finite_B


def _finished(
    inputs_BCHW: torch.Tensor, shown_BCHW: torch.Tensor, strength_B: torch.Tensor
) -> torch.Tensor:
    return pixels.to_bytes(torch.lerp(inputs_BCHW, shown_BCHW, strength_B[:, None, None, None]))


def _moved(outputs_BCHW: torch.Tensor, way: Warp, inputs_BCHW: torch.Tensor) -> torch.Tensor:
    warped = flow.warp(outputs_BCHW, way.backward_BHW2)
    shown = torch.where(way.occluded_B1HW, inputs_BCHW, warped)
    return shown.contiguous(memory_format=torch.channels_last)


def _carries(job: Job) -> bool:
    """Whether what the main lane remembers of the job's stream belongs to the job's scene."""
    return job.plan.conditioning != "none" and job.stream.main.epoch == job.plan.epoch


def _refreshes(job: Job) -> bool:
    return job.plan.conditioning == "refresh" and job.previous is not None and _carries(job)


def _fallback(job: Job) -> Pixels:
    """What is shown for a frame that is not finite."""
    good = job.stream.main.good
    return good if good is not None and good.shape == job.frame.pixels.shape else job.frame.pixels


def _output(job: Job) -> torch.Tensor:
    output = job.stream.main.output_CHW
    assert output is not None
    return output
