"""The tiny autoencoder: diffusers' module and weights, layers with nothing between them folded into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sidestream.models.folding import folded

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny


class Autoencoder:
    """Pictures in [-1, 1] to latents and back."""

    def __init__(self, vae: AutoencoderTiny) -> None:
        config: Any = vae.config
        self.stride = stride_of(vae)
        self._scale: float = config.scaling_factor
        self._shift: float = config.shift_factor or 0.0
        self._inward = folded(list(vae.encoder.layers))
        self._outward = folded(list(vae.decoder.layers))

    def encode(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        # Upstream uses the encoder's output as it is; scaling and shift apply when decoding only.
        hidden = (pictures_BCHW + 1) / 2
        for layer in self._inward:
            hidden = layer(hidden)
        return hidden

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh((latents_BCHW / self._scale + self._shift) / 3) * 3
        for layer in self._outward:
            hidden = layer(hidden)
        return hidden * 2 - 1


def stride_of(vae: AutoencoderTiny) -> int:
    """Pixels to a latent."""
    config: Any = vae.config
    return 2 ** (len(config.encoder_block_out_channels) - 1)
