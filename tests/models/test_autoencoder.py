"""Doublings folded into convolutions give the same pictures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lively
from sidestream.models.autoencoder import Autoencoder
from sidestream.models.nano import architecture
from sidestream.models.upsample import DoublingConv


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_doubling_and_convolving_is_one_transposed_convolution(size, bias):
    conv = nn.Conv2d(3, 5, 3, padding=1, bias=bias).requires_grad_(False)
    small = torch.randn(2, 3, *size)
    expected = conv(nn.functional.interpolate(small, scale_factor=2.0, mode="nearest"))
    assert (DoublingConv(conv)(small) - expected).abs().max() < 1e-5


@torch.inference_mode()
def test_latents_and_pictures_equal_upstreams():
    vae = lively.components().vae
    ours = Autoencoder(vae)
    pictures, latents = torch.rand(2, 3, 64, 32) * 2 - 1, torch.randn(2, 16, 8, 4)
    assert torch.equal(ours.encode(pictures), vae.encode(pictures).latents)
    assert (ours.decode(latents) - vae.decode(latents).sample).abs().max() < 1e-5


@torch.inference_mode()
def test_scale_and_shift_apply_when_decoding_only():
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny(**{**architecture.VAE, "scaling_factor": 2.0, "shift_factor": 0.5}).eval()
    latents = torch.randn(1, 16, 4, 4)
    expected = vae.decode(latents / 2.0 + 0.5).sample
    assert (Autoencoder(vae).decode(latents) - expected).abs().max() < 1e-5
