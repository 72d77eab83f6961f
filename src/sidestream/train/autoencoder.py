"""Trains nano's autoencoder: 256x256 pixels to 16 x 32 x 32 numbers and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from sidestream.train.losses import edge_loss
from sidestream.train.pictures import Shelf

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

CROP = 128
LATENT_NOISE = 0.08
"""Added while training: the decoder must forgive what a denoiser gets wrong."""


class AutoencoderLoss:
    def __init__(
        self, vae: AutoencoderTiny, shelves: Sequence[Shelf], *, batch: int, seed: int
    ) -> None:
        self._vae, self._shelves = vae, shelves
        self._batch, self._seed = batch, seed
        self._dtype: torch.dtype = vae.dtype

    def __call__(self, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        random = np.random.default_rng((self._seed, step))
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        wanted_BCHW = as_floats(
            crops(self._shelves[step % len(self._shelves)], self._batch, CROP, random)
        )
        latents = self._vae.encoder(wanted_BCHW.to(self._dtype))
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        given = self._vae.decoder(latents + LATENT_NOISE * noise).float()
        latents = latents.float()
        squared = F.mse_loss(given, wanted_BCHW)
        spread = (latents.std((0, 2, 3)) - 1).square().mean() + latents.mean(
            (0, 2, 3)
        ).square().mean()
        loss = (
            5 * squared
            + F.l1_loss(given, wanted_BCHW)
            + 0.5 * edge_loss(given, wanted_BCHW)
            + 0.02 * spread
        )
        psnr = -10 * torch.log10((given - wanted_BCHW).square().mean((1, 2, 3)) / 4).mean()
        return loss, {"psnr": float(psnr.detach()), "spread": float(spread.detach())}


def crops(pictures: Shelf, count: int, side: int, random: np.random.Generator) -> Shelf:
    """Random pieces of random pictures, turned and mirrored at random."""
    found: list[Shelf] = []
    for index in random.integers(len(pictures), size=count):
        top, left = (random.integers(pictures.shape[axis] - side + 1) for axis in (1, 2))
        piece = pictures[index, top : top + side, left : left + side]
        piece = np.rot90(piece, int(random.integers(4)))
        found.append(piece[:, ::-1] if random.random() < 0.5 else piece)
    return np.stack(found)


def as_floats(pixels_BHWC: Shelf) -> torch.Tensor:
    """Pixels as the model takes them: B x C x H x W from -1 to 1."""
    return torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).float() / 127.5 - 1
