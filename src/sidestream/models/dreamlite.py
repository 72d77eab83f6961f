"""DreamLite: its components behind the EditModel seam. Forwards are ours, module classes and weights are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sidestream.config import Size
from sidestream.models.autoencoder import Autoencoder
from sidestream.models.components import Components
from sidestream.models.denoiser import Denoiser
from sidestream.models.instruct.encoder import LeanEncoder
from sidestream.models.instruct.template import Template
from sidestream.models.lanes import Lanes
from sidestream.prefetch import upload
from sidestream.types import Controls, Prompt, TextState


class DreamLite:
    """Owns the components on their device, and the functions that may be compiled."""

    def __init__(
        self,
        parts: Components,
        template: Template,
        *,
        vision_size: int = 256,
        lanes: Lanes = Lanes(),
        hooked: Callable[[], Sequence[torch.Tensor]] = tuple,
    ) -> None:
        """`hooked`: what adapters in the U-Net read and may exchange."""
        self.unet = parts.unet
        self.template = template
        self.dtype: torch.dtype = parts.unet.dtype
        self.device: torch.device = parts.unet.device
        autoencoder = Autoencoder(parts.vae)
        self.stride = autoencoder.stride
        self.denoiser = Denoiser(parts.unet, parts.scheduler, self.stride)
        self.encoder = LeanEncoder(parts.text_encoder, template, vision_size)
        side, main = lanes.side.make, lanes.main.make
        self._see, self._read = side(self.encoder.see), side(self.encoder.read)
        self._encode = side(self.encoder.encode)
        self._read_states = side(self.denoiser.read)
        self._encode_image = side(autoencoder.encode)
        self._advance = main(self.denoiser.advance, hooked)
        self._decode = main(autoencoder.decode)

    def read(self, controls: Controls) -> tuple[Prompt, ...]:
        """The prompts as ids, all padded to one bucket; what cannot be read is refused here."""
        found = [(self.template.ids(text), weight) for text, weight in controls.prompts]
        length = self.template.bucket(max(len(ids) for ids, _ in found))
        total = controls.total_weight
        return tuple(
            Prompt(ids + (self.template.pad,) * (length - len(ids)), len(ids), weight / total)
            for ids, weight in found
        )

    def encode_text(
        self, pictures_BCHW: torch.Tensor, prompts: Sequence[Sequence[Prompt]]
    ) -> TextState:
        ids_nBL = [
            upload(torch.tensor([prompt.ids for prompt in column]), self.device)
            for column in zip(*prompts, strict=True)
        ]
        if len(ids_nBL) == 1:
            states = self._encode(pictures_BCHW, ids_nBL[0])
        else:
            seen = self._see(pictures_BCHW)
            first, *others = [self._read(seen, ids_BL) for ids_BL in ids_nBL]
            picture = seen.states_BLD.shape[1]
            states = torch.cat([first, *(states[:, picture:] for states in others)], dim=1)
        lengths_Bn = torch.tensor([[prompt.length for prompt in row] for row in prompts])
        counts_BnL = torch.arange(len(prompts[0][0].ids)) < lengths_Bn[:, :, None]
        weights_Bn = torch.tensor([[prompt.weight for prompt in row] for row in prompts])
        return TextState(
            self._read_states(states),
            upload(counts_BnL.float(), self.device),
            upload(weights_Bn, self.device),
        )

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

    def _index(self, step: int, batch: int) -> torch.Tensor:
        return torch.full((batch,), step, device=self.device)
