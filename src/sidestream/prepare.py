"""The side lane: what a batch needs before it can be rendered, from its inputs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sidestream import flow, flow_dense, sampler
from sidestream.batching import filled, slots_for
from sidestream.flow import Flow, Mask
from sidestream.media import pixels
from sidestream.models.lanes import Lane
from sidestream.prefetch import upload, upload_stack
from sidestream.seams import EditModel
from sidestream.stream import Side, Stream
from sidestream.timing import Spans
from sidestream.types import Batch, Frame, Job, Prepared, TextState, Trails, Warp


class Preparer:
    """Turns batches into prepared batches; what it remembers lies in each stream's side part."""

    def __init__(
        self,
        model: EditModel,
        device: torch.device,
        dtype: torch.dtype,
        spans: Spans,
        lane: Lane = Lane(),
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.spans = spans
        self.encoded = 0
        """Pictures that the text encoder has looked at."""
        self._to_unit = lane.make(pixels.to_unit)
        self._search = lane.make(flow_dense.search, fuse=False)

    def __call__(self, batch: Batch) -> Prepared:
        with self.spans("upload"):
            inputs = self._pictures([job.frame for job in batch.padded])
            anchor, step = self._warps(batch, inputs)
        pictures = inputs.to(self.dtype)
        with self.spans("encode image"):
            source = self.model.encode_image(pictures)
        with self.spans("encode text"):
            text = self._text(batch, pictures)
        with self.spans("noise"):
            noise = torch.stack([_noise(job, source.shape[1:]) for job in batch.jobs])
            noise = self._upload(noise)[self._index(filled(range(len(batch.jobs)), batch.slots))]
        return Prepared(batch, inputs, source, text, noise.to(self.dtype), anchor, step)

    def _pictures(self, frames: Sequence[Frame]) -> torch.Tensor:
        slots = filled([frame.pixels for frame in frames], slots_for(len(frames)))
        return self._to_unit(upload_stack(slots, self.device), None)[: len(frames)]

    def _warps(self, batch: Batch, inputs_BCHW: torch.Tensor) -> tuple[Warp | None, Warp | None]:
        flows = batch.flows
        if flows is None:
            return None, None
        if isinstance(flows, Trails):
            return self._searched(batch, flows, inputs_BCHW)
        return self._warp(batch, flows.anchor, flows.occluded), self._warp(
            batch, flows.step, flows.step_occluded
        )

    def _searched(
        self, batch: Batch, trails: Trails, inputs_BCHW: torch.Tensor
    ) -> tuple[Warp | None, Warp | None]:
        """Flow that is computed here, between pictures that are on the device already, but for a stream's last one."""
        places = flow_dense.places_of(batch, trails)
        new = known = flow_dense.grey(inputs_BCHW)
        if places.strangers:
            known = torch.cat((new, flow_dense.grey(self._pictures(places.strangers))))
        anchor, step = self._search(
            known.index_select(0, self._index(places.old)),
            new,
            self._index(places.before),
            self._upload(torch.tensor(places.known)),
            places.doublings if trails.anchored else 0,
        )
        return anchor if trails.anchored else None, step if trails.stepwise else None

    def _warp(
        self, batch: Batch, found: Sequence[Flow | None], occluded: Sequence[Mask | None]
    ) -> Warp | None:
        if all(one is None for one in found):
            return None
        backward, hidden = flow.stacked(found, occluded, batch.slots, batch.key.size)
        return Warp(self._upload(backward), self._upload(hidden))

    def _index(self, places: Sequence[int]) -> torch.Tensor:
        return self._upload(torch.tensor(places))

    def _upload(self, on_host: torch.Tensor) -> torch.Tensor:
        return upload(on_host, self.device)

    def _text(self, batch: Batch, pictures_BCHW: torch.Tensor) -> TextState:
        """Each job's text: encoded now, shared with the first of its stream, or its stream's newest."""
        encode: list[int] = []
        old: list[TextState] = []
        sources: list[tuple[bool, int]] = []
        first: dict[Stream, int] = {}
        held: dict[Stream, int] = {}
        for place, job in enumerate(batch.jobs):
            kept = _kept(job)
            if kept is not None:
                if job.stream not in held:
                    held[job.stream] = len(old)
                    old.append(kept)
                sources.append((False, held[job.stream]))
            elif job.plan.text == "first_frame" and job.stream in first:
                sources.append((True, first[job.stream]))
            else:
                first[job.stream] = len(encode)
                sources.append((True, len(encode)))
                encode.append(place)

        parts = [self._encode(batch, encode, pictures_BCHW)] if encode else []
        offset = parts[0].kv.shape[0] if parts else 0
        index = [place if new else offset + place for new, place in sources]
        text = self._gather([*parts, *old], filled(index, batch.slots))
        weights = [[prompt.weight for prompt in job.prompts] for job in batch.padded]
        text = replace(text, weights_Bn=self._upload(torch.tensor(weights)))
        for stream, place in {job.stream: place for place, job in enumerate(batch.jobs)}.items():
            stream.side = Side(batch.jobs[place].plan.epoch, text.row(place))
        return text

    def _encode(
        self, batch: Batch, places: Sequence[int], pictures_BCHW: torch.Tensor
    ) -> TextState:
        self.encoded += len(places)
        places = filled(places, slots_for(len(places)))
        if places != list(range(len(pictures_BCHW))):
            pictures_BCHW = pictures_BCHW.index_select(0, self._index(places))
        prompts = [batch.padded[place].prompts for place in places]
        return self.model.encode_text(pictures_BCHW, prompts)

    def _gather(self, parts: Sequence[TextState], index: Sequence[int]) -> TextState:
        """Rows `index` of all parts in a row; nothing is copied where that is the first part itself."""
        whole = parts[0]
        if len(parts) > 1:
            whole = TextState(
                torch.cat([part.kv for part in parts]),
                torch.cat([part.counts_BnL for part in parts]),
                torch.cat([part.weights_Bn for part in parts]),
            )
        if list(index) == list(range(whole.kv.shape[0])):
            return whole
        return whole.rows(self._index(index))


def _kept(job: Job) -> TextState | None:
    """The stream's newest text, where the plan reuses it and it is of the plan's epoch."""
    side = job.stream.side
    return side.text if job.plan.text == "reuse" and side.epoch == job.plan.epoch else None


def _noise(job: Job, shape: Sequence[int]) -> torch.Tensor:
    channels, height, width = shape
    index = sampler.FIXED_INDEX if job.stream.config.fixed_noise else job.frame.index
    return sampler.noise(job.controls.seed, index, (channels, height, width))
