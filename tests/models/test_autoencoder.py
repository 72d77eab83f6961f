"""The autoencoder with its layers folded gives the same latents and pictures."""

from __future__ import annotations

import torch

import lively
from sidestream.models.autoencoder import Autoencoder
from sidestream.models.nano import architecture


@torch.inference_mode()
def test_latents_and_pictures_equal_upstreams():
    vae = lively.components().vae
    ours = Autoencoder(vae)
    pictures, latents = torch.rand(2, 3, 64, 32) * 2 - 1, torch.randn(2, 16, 8, 4)
    assert (ours.encode(pictures) - vae.encode(pictures).latents).abs().max() < 1e-5
    assert (ours.decode(latents) - vae.decode(latents).sample).abs().max() < 1e-5


@torch.inference_mode()
def test_scale_and_shift_apply_when_decoding_only():
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny(**{**architecture.VAE, "scaling_factor": 2.0, "shift_factor": 0.5}).eval()
    latents = torch.randn(1, 16, 4, 4)
    expected = vae.decode(latents / 2.0 + 0.5).sample
    assert (Autoencoder(vae).decode(latents) - expected).abs().max() < 1e-5
