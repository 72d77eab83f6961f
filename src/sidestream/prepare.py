"""The side lane: what a batch needs before it can be rendered, from its inputs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sidestream import sampler
from sidestream.config import BATCH_SIZES
from sidestream.media import pixels
from sidestream.seams import EditModel
from sidestream.stream import Side, Stream
from sidestream.timing import Spans
from sidestream.types import Batch, Job, Prepared, TextState


class Preparer:
    """Turns batches into prepared batches; what it remembers lies in each stream's side part."""

    def __init__(
        self, model: EditModel, device: torch.device, dtype: torch.dtype, spans: Spans
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.spans = spans
        self.encoded = 0
        """Pictures that the text encoder has looked at."""

    def __call__(self, batch: Batch) -> Prepared:
        jobs = batch.padded
        with self.spans("upload"):
            pixels_BHWC = self._upload(np.stack([job.frame.pixels for job in jobs]))
            pictures = pixels.to_unit(pixels_BHWC, self.dtype)
        with self.spans("encode image"):
            source = self.model.encode_image(pictures)
        with self.spans("encode text"):
            text = self._text(batch, pictures)
        with self.spans("noise"):
            noise = torch.stack([_noise(job, source.shape[1:]) for job in jobs])
            noise = noise.to(self.device, self.dtype, non_blocking=True)
        return Prepared(batch, pixels_BHWC, source, text, noise)

    def _upload(self, pixels_BHWC: np.ndarray) -> torch.Tensor:
        on_host = torch.from_numpy(pixels_BHWC)
        if self.device.type == "cuda":  # pragma: no cover - cuda
            on_host = on_host.pin_memory()
        return on_host.to(self.device, non_blocking=True)

    def _text(self, batch: Batch, pictures_BCHW: torch.Tensor) -> TextState:
        """Each job's text: encoded now, shared with the first of its stream, or its stream's newest."""
        encode: list[int] = []
        old: list[TextState] = []
        sources: list[tuple[bool, int]] = []
        first: dict[Stream, int] = {}
        for place, job in enumerate(batch.jobs):
            kept = _kept(job)
            if kept is not None:
                sources.append((False, len(old)))
                old.append(kept)
            elif job.plan.text == "first_frame" and job.stream in first:
                sources.append((True, first[job.stream]))
            else:
                first[job.stream] = len(encode)
                sources.append((True, len(encode)))
                encode.append(place)

        parts = [self._encode(batch, encode, pictures_BCHW)] if encode else []
        offset = parts[0].kv.shape[0] if parts else 0
        index = [place if new else offset + place for new, place in sources]
        index += [index[-1]] * (batch.slots - len(index))
        text = _gather([*parts, *old], index)
        weights = [[prompt.weight for prompt in job.prompts] for job in batch.padded]
        text = replace(text, weights_Bn=torch.tensor(weights).to(self.device, non_blocking=True))
        for place, job in enumerate(batch.jobs):
            job.stream.side = Side(job.plan.epoch, text.row(place))
        return text

    def _encode(
        self, batch: Batch, places: Sequence[int], pictures_BCHW: torch.Tensor
    ) -> TextState:
        self.encoded += len(places)
        count = next(size for size in BATCH_SIZES if size >= len(places))
        places = [*places, *[places[-1]] * (count - len(places))]
        if places != list(range(len(pictures_BCHW))):
            pictures_BCHW = pictures_BCHW.index_select(
                0, torch.tensor(places).to(self.device, non_blocking=True)
            )
        prompts = [batch.jobs[place].prompts for place in places]
        return self.model.encode_text(pictures_BCHW, prompts)


def _kept(job: Job) -> TextState | None:
    """The stream's newest text, where the plan reuses it and it is of the plan's epoch."""
    side = job.stream.side
    return side.text if job.plan.text == "reuse" and side.epoch == job.plan.epoch else None


def _gather(parts: Sequence[TextState], index: Sequence[int]) -> TextState:
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
    return whole.rows(torch.tensor(index).to(whole.kv.device, non_blocking=True))


def _noise(job: Job, shape: Sequence[int]) -> torch.Tensor:
    channels, height, width = shape
    index = sampler.FIXED_INDEX if job.stream.config.fixed_noise else job.frame.index
    return sampler.noise(job.controls.seed, index, (channels, height, width))
