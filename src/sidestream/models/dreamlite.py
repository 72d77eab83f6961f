"""DreamLite: its components behind the EditModel seam. Forwards are ours, module classes and weights are not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from sidestream.config import Size
from sidestream.models.compile import compiled
from sidestream.models.components import Components
from sidestream.models.denoiser import Denoiser
from sidestream.models.instruct.encoder import LeanEncoder
from sidestream.models.instruct.template import Template
from sidestream.types import Controls, Prompt, TextState


class DreamLite:
    """Owns the components on their device, and the functions that may be compiled."""

    def __init__(
        self,
        parts: Components,
        template: Template,
        *,
        vision_size: int = 256,
        compile_backend: str | None = None,
    ) -> None:
        self.unet = parts.unet
        self.template = template
        self.dtype: torch.dtype = parts.unet.dtype
        self.device: torch.device = parts.unet.device
        self._vae: Any = parts.vae
        self.latent_channels: int = self._vae.config.latent_channels
        self.stride: int = 2 ** (len(self._vae.config.encoder_block_out_channels) - 1)
        self.denoiser = Denoiser(parts.unet, parts.scheduler, self.stride)
        self._encoder = LeanEncoder(parts.text_encoder, template, vision_size)
        make = partial(compiled, backend=compile_backend)
        self._see, self._read = make(self._encoder.see), make(self._encoder.read)
        self._encode = make(self._encoder.encode)
        self._read_text = make(self.denoiser.read)
        self._advance = make(self.denoiser.advance)
        self._encode_image = make(self._to_latents)
        self._decode = make(self._to_pictures)

    def read(self, controls: Controls) -> tuple[Prompt, ...]:
        """The prompts as ids, all padded to one bucket; what cannot be read is refused here."""
        found = [(self.template.ids(text), weight) for text, weight in controls.prompts]
        bucket = self.template.bucket(max(len(ids) for ids, _ in found))
        total = controls.total_weight
        return tuple(
            Prompt(ids + (self.template.pad,) * (bucket - len(ids)), len(ids), weight / total)
            for ids, weight in found
        )

    def encode_text(
        self, pictures_BCHW: torch.Tensor, prompts: Sequence[Sequence[Prompt]]
    ) -> TextState:
        ids_nBL = [
            self._tensor([row[n].ids for row in prompts], torch.long)
            for n in range(len(prompts[0]))
        ]
        if len(ids_nBL) == 1:
            states = [self._encode(pictures_BCHW, ids_nBL[0])]
        else:
            seen = self._see(pictures_BCHW)
            states = [self._read(seen, ids_BL) for ids_BL in ids_nBL]
        kv = torch.cat([self._read_text(state) for state in states], dim=4)
        return TextState(
            kv, self._counts(prompts, states[0].shape[1]), weights_of(prompts, self.device)
        )

    def _counts(self, prompts: Sequence[Sequence[Prompt]], length: int) -> torch.Tensor:
        """Picture tokens come first and always count, padding lies on the right."""
        ends = [[length - len(p.ids) + p.length for p in row] for row in prompts]
        return (torch.arange(length) < torch.tensor(ends)[:, :, None]).float().to(self.device)

    def encode_image(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        return self._encode_image(pictures_BCHW)

    def denoise(
        self, noise_BCHW: torch.Tensor, source_BCHW: torch.Tensor, text: TextState, steps: int
    ) -> torch.Tensor:
        batch, _, height, width = source_BCHW.shape
        constants = self.denoiser.steps(steps, Size(width * self.stride, height * self.stride))
        latents = noise_BCHW
        for step in range(steps):
            latents = self._advance(latents, source_BCHW, text, constants, self._index(step, batch))
        return latents

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        return self._decode(latents_BCHW)

    def _to_latents(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        # Upstream uses the encoder's output as it is; scaling and shift apply when decoding only.
        return self._vae.encoder(pictures_BCHW)

    def _to_pictures(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        config = self._vae.config
        return self._vae.decoder(
            latents_BCHW / config.scaling_factor + (config.shift_factor or 0.0)
        )

    def _index(self, step: int, batch: int) -> torch.Tensor:
        return torch.full((batch,), step, device=self.device)

    def _tensor(self, rows: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor(rows, dtype=dtype).to(self.device, non_blocking=True)


def weights_of(prompts: Sequence[Sequence[Prompt]], device: torch.device) -> torch.Tensor:
    return torch.tensor([[prompt.weight for prompt in row] for row in prompts]).to(device)
