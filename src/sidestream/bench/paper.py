"""The loop of the paper's public code, re-created from a description of what it does when: a re-implementation.

It runs the same module classes and weights as ours does, by the libraries' own forwards, so that what differs is the
loop: pictures as PIL, text padded to one length and read with logits and all hidden states, float frames over the
bus, a wait for the device around each render call. Frames go in batches of B. While the device renders batch n, what
batch n + 1 needs has been asked for on a side stream, by a call that keeps the host busy *before* the render call:
its frames a second are counted around the render call alone. Of its flaws one is left out, to its advantage: flow
that it computes ahead and throws away.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sidestream import flow, sampler
from sidestream.adapter.lllite import SiteNetwork, beside_reference
from sidestream.adapter.temporal import TemporalLLLite
from sidestream.bench.footage import PROMPT
from sidestream.bench.machine import settle
from sidestream.bench.upstream import SEED, before_norm, processor_of
from sidestream.build import template_of
from sidestream.models.autoencoder import stride_of
from sidestream.models.components import Components
from sidestream.models.instruct.template import AFTER, BEFORE, DECORATION, VISION
from sidestream.types import Frame, Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 8
COND_EVERY = 8
"""Batches from one refresh of the conditioning to the next: 64 frames at a batch of 8."""
VISION_SIZE = 256
ROOM = 126
"""Tokens of text that there is room for: 256 in all with the released model's prefix of 64 and picture of 64."""
FLOW_THREADS = 8


@dataclass(frozen=True, eq=False)
class Queued:
    """A batch with what the side stream was asked to make for it."""

    pictures: Sequence[Image]
    text_BLD: torch.Tensor
    mask_BL: torch.Tensor
    source_BCHW: torch.Tensor
    done: torch.cuda.Event | None


class PaperLoop:
    """Owns the last text, input and output, and the time of the render call. Runs whole batches only."""

    def __init__(
        self,
        parts: Components,
        adapter: TemporalLLLite | None = None,
        *,
        steps: int = 1,
        batch: int = BATCH,
        cond_every: int = COND_EVERY,
        text_every: int = 1,
        compile: bool = False,
    ) -> None:
        """Intervals count batches, as there."""
        from diffusers import FlowMatchEulerDiscreteScheduler
        from diffusers.image_processor import VaeImageProcessor

        before_norm(parts)
        template = template_of(parts)
        self.batch = batch
        self.render_seconds = 0.0
        """Spent in the render call: what its own figures count."""
        self._steps = steps
        self._cond_every, self._text_every = cond_every, text_every
        self._parts = parts
        self._device: torch.device = parts.unet.device
        self._dtype: torch.dtype = parts.unet.dtype
        self._prefix = len(template.prefix_ids)
        self._processor = processor_of(parts, template)
        self._length = self._prefix + 2 + (VISION_SIZE // 32) ** 2 + ROOM
        self._resizer: Any = VaeImageProcessor(vae_scale_factor=stride_of(parts.vae))
        self._scheduler: Any = FlowMatchEulerDiscreteScheduler(**parts.scheduler)
        self._conditioned = hook(parts.unet, adapter) if adapter else []
        # As it does itself, which is why this is not left to models/compile.py.
        self._unet: Any = (
            torch.compile(parts.unet, mode="reduce-overhead") if compile else parts.unet
        )
        self._side = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._pool = ThreadPoolExecutor(FLOW_THREADS, "paper-flow")
        self._begin()

    def _begin(self) -> None:
        self._prefetched = self._rendered = 0
        """Batches."""
        self._text: tuple[torch.Tensor, torch.Tensor] | None = None
        """The newest, with its mask."""
        self._last: tuple[Pixels, Pixels] | None = None
        """Input and output."""

    def __enter__(self) -> PaperLoop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    @torch.inference_mode()
    def restyle(self, frames: Iterable[Frame]) -> Iterator[Pixels]:
        """As one stream from its start."""
        self._begin()
        batches = _batches(frames, self.batch)
        first = next(batches, None)
        coming = self.prefetch(first) if first else None
        while coming is not None:
            queued, following = coming, next(batches, None)
            coming = self.prefetch(following) if following else None
            start = time.perf_counter()
            made = self.render(queued)
            self.render_seconds += time.perf_counter() - start
            yield from (np.asarray(picture) for picture in made)

    def prefetch(self, pictures: Sequence[Image]) -> Queued:
        """Text and source latents, on the side stream; the host is busy with it all the while."""
        with torch.cuda.stream(self._side):
            if self._text is None or self._prefetched % self._text_every == 0:
                self._text = self._read(pictures)
            self._prefetched += 1
            unit = self._resizer.preprocess(list(pictures)).to(self._device).to(self._dtype)
            source: Any = self._parts.vae.encode(unit)
            return Queued(pictures, *self._text, source.latents, self._mark())

    def render(self, queued: Queued) -> Sequence[Image]:
        """Noise, conditioning, K steps, pixels; the device is waited for before and after the pixels."""
        if queued.done is not None:  # pragma: no cover - cuda
            torch.cuda.current_stream(self._device).wait_event(queued.done)
        width, height = queued.pictures[0].size
        self._schedule(queued.source_BCHW)
        sizes = torch.tensor([[width, height]]).to(self._device, self._dtype)
        noise = self._noise(queued.source_BCHW.shape)
        if self._conditioned and self._rendered % self._cond_every == 0:
            self._condition(queued.pictures)
        latents = self._denoise(noise, queued, sizes)
        settle(self._device)
        vae: Any = self._parts.vae
        decoded = vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0))
        made = self._resizer.postprocess(decoded.sample)
        settle(self._device)
        self._last = np.asarray(queued.pictures[-1]), np.asarray(made[-1])
        self._rendered += 1
        return made

    def _read(self, pictures: Sequence[Image]) -> tuple[torch.Tensor, torch.Tensor]:
        from PIL.Image import Resampling

        text = BEFORE + "".join(VISION) + f"{DECORATION} {PROMPT}" + AFTER
        small = [one.resize((VISION_SIZE, VISION_SIZE), Resampling.BILINEAR) for one in pictures]
        tokens = self._processor(
            text=[text] * len(pictures),
            images=small,
            padding="max_length",
            max_length=self._length,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        told = self._parts.text_encoder(**tokens, output_hidden_states=True)
        states = told.hidden_states[-1][:, self._prefix :].to(self._dtype).contiguous()
        return states, tokens["attention_mask"][:, self._prefix :]

    def _schedule(self, source_BCHW: torch.Tensor) -> None:
        """Anew for every batch."""
        height, width = source_BCHW.shape[2:]
        self._scheduler.set_timesteps(
            sigmas=np.linspace(1.0, 1 / self._steps, self._steps),
            mu=sampler.shift(height * width // 4, self._parts.scheduler),
            device=self._device,
        )

    def _noise(self, shape: Sequence[int]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(SEED + self._rendered * self.batch)
        return torch.randn(tuple(shape), generator=generator, dtype=self._dtype).to(self._device)

    def _denoise(self, latents: torch.Tensor, queued: Queued, sizes: torch.Tensor) -> torch.Tensor:
        for moment in self._scheduler.timesteps:
            velocity = self._unet(
                torch.cat([latents, queued.source_BCHW], dim=3),
                timestep=moment.expand(len(latents)).to(self._dtype),
                encoder_hidden_states=queued.text_BLD,
                encoder_attention_mask=queued.mask_BL,
                added_cond_kwargs={"time_ids": sizes},
                return_dict=False,
            )[0][..., : latents.shape[3]]
            latents = self._scheduler.step(velocity, moment, latents, return_dict=False)[0]
        return latents

    def _condition(self, pictures: Sequence[Image]) -> None:
        """The last output where each input moved it, by direct flow on the host; at the start the inputs themselves."""
        inputs = [np.asarray(one) for one in pictures]
        shown = [one.astype(np.float32) for one in inputs]
        if self._last is not None:
            before, output = self._last
            old, drawn = flow.grey(before), output.astype(np.float32)
            found = self._pool.map(lambda one: flow.mirrored(old, flow.grey(one)).flow, inputs)
            shown = [flow.gather(drawn, *flow.targets_of(one)) for one in found]
        stack = torch.from_numpy(np.stack(shown) / 255 * 2 - 1).permute(0, 3, 1, 2)
        unit_BCHW = stack.to(self._device).to(self._dtype)
        for linear in self._conditioned:
            linear.show(unit_BCHW)

    def _mark(self) -> torch.cuda.Event | None:
        if self._side is None:
            return None
        done = torch.cuda.Event()  # pragma: no cover - cuda
        done.record(self._side)  # pragma: no cover - cuda
        return done  # pragma: no cover - cuda


class BufferedLinear(nn.Module):
    """A host and what the adapter adds to its input, its conditioning in a buffer that is written in place."""

    cond_BND: torch.Tensor

    def __init__(self, host: nn.Linear, network: SiteNetwork) -> None:
        super().__init__()
        self.host = host
        self.network = copy.deepcopy(network).to(host.weight.device, host.weight.dtype)
        self.register_buffer("cond_BND", host.weight.new_zeros(0), persistent=False)

    def show(self, pictures_BCHW: torch.Tensor) -> None:
        cond = beside_reference(self.network.conditioning1(pictures_BCHW)).flatten(2).mT
        if self.cond_BND.shape != cond.shape:
            self.cond_BND = torch.zeros_like(cond)
        self.cond_BND.copy_(cond)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        network = self.network
        joined = torch.cat([self.cond_BND, network.down(input)], dim=-1)
        return self.host(input + network.up(network.mid(joined)))


def hook(unet: nn.Module, adapter: TemporalLLLite) -> list[BufferedLinear]:
    """The adapter's sites with a network each of their own, in place of its running form."""
    adapter.detach()
    hooked: list[BufferedLinear] = []
    for site in adapter.sites:
        host = unet.get_submodule(site.name)
        assert isinstance(host, nn.Linear)
        hooked.append(BufferedLinear(host, adapter.networks[site.key]))
        unet.set_submodule(site.name, hooked[-1])
    return hooked


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Image]]:
    """Whole ones: what is left over is dropped."""
    from PIL import Image

    left = iter(frames)
    while len(taken := list(islice(left, size))) == size:
        yield [Image.fromarray(frame.pixels) for frame in taken]
