"""The tiny autoencoder: diffusers' module and weights, its decoder with every doubling folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sidestream.models.upsample import DoublingConv

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny


class Autoencoder:
    """Pictures in [-1, 1] to latents and back."""

    def __init__(self, vae: AutoencoderTiny) -> None:
        config: Any = vae.config
        self._vae = vae
        self.stride = stride_of(vae)
        self._scale: float = config.scaling_factor
        self._shift: float = config.shift_factor or 0.0
        self._layers = _folded(list(vae.decoder.layers))

    def encode(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        # Upstream uses the encoder's output as it is; scaling and shift apply when decoding only.
        return self._vae.encoder(pictures_BCHW)

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh((latents_BCHW / self._scale + self._shift) / 3) * 3
        for layer in self._layers:
            hidden = layer(hidden)
        return hidden * 2 - 1


def stride_of(vae: AutoencoderTiny) -> int:
    """Pixels to a latent."""
    config: Any = vae.config
    return 2 ** (len(config.encoder_block_out_channels) - 1)


def _folded(layers: list[nn.Module]) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """The layers in order, each doubling together with the convolution behind it."""
    folded: list[Callable[[torch.Tensor], torch.Tensor]] = []
    for before, layer in zip([None, *layers], layers, strict=False):
        if isinstance(before, nn.Upsample) and isinstance(layer, nn.Conv2d):
            folded[-1] = DoublingConv(layer)
        else:
            folded.append(layer)
    return folded
