"""Sigmas, Euler steps and noise: where K lives. Flow matching: sigma 1 is noise, sigma 0 the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

TRAIN_STEPS = 1000
FIXED_INDEX = 0


@dataclass(frozen=True)
class Sigmas:
    """The K steps of one schedule: step k goes from values[k] to values[k + 1]."""

    values: tuple[float, ...]

    @property
    def timesteps(self) -> tuple[float, ...]:
        return tuple(TRAIN_STEPS * sigma for sigma in self.values[:-1])


def sigmas(
    steps: int, latent_height: int, latent_width: int, scheduler: Mapping[str, Any]
) -> Sigmas:
    """The scheduler's own schedule for K steps at this size, with its dynamic or fixed shift."""
    linear = [1 - k * (1 - 1 / steps) / max(steps - 1, 1) for k in range(steps)]
    if scheduler.get("use_dynamic_shifting", False):
        mu = shift(latent_height * latent_width // 4, scheduler)
        shifted = [math.exp(mu) / (math.exp(mu) + (1 / sigma - 1)) for sigma in linear]
    else:
        fixed = float(scheduler.get("shift", 1.0))
        shifted = [fixed * sigma / (1 + (fixed - 1) * sigma) for sigma in linear]
    return Sigmas((*shifted, 0.0))


def shift(tokens: int, scheduler: Mapping[str, Any]) -> float:
    """The dynamic shift (mu), linear in the number of picture tokens."""
    low, high = scheduler.get("base_image_seq_len", 256), scheduler.get("max_image_seq_len", 4096)
    bottom, top = scheduler.get("base_shift", 0.5), scheduler.get("max_shift", 1.16)
    return bottom + (top - bottom) * (tokens - low) / (high - low)


def euler(
    latents_BCHW: torch.Tensor,
    velocity_BCHW: torch.Tensor,
    sigma_B: torch.Tensor,
    next_B: torch.Tensor,
) -> torch.Tensor:
    """One step, each slot from its own sigma to its own next one; in float32 as the scheduler does it."""
    change = (next_B - sigma_B)[:, None, None, None]
    return (latents_BCHW.float() + change * velocity_BCHW.float()).to(velocity_BCHW.dtype)


def noise(seed: int, index: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Noise of one frame: a function of seed and source index alone, on the CPU in float32."""
    generator = torch.Generator().manual_seed(_mix(_mix(seed) ^ index))
    return torch.randn(shape, generator=generator)


def _mix(value: int) -> int:
    """Spreads close integers over 63 bits (the finaliser of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (value ^ (value >> 31)) >> 1
