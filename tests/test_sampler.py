"""Sigmas, steps and noise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidestream import sampler

DREAMLITE = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}


@pytest.mark.parametrize(
    ("steps", "latent", "expected"),
    [
        (1, 64, [1000]),
        (2, 64, [1000, 652.49]),
        (4, 64, [1000, 849.23, 652.49, 384.94]),
        (4, 128, [1000, 904.53, 759.51, 512.84]),
    ],
)
def test_timesteps_are_the_released_schedule(steps, latent, expected):
    found = sampler.sigmas(steps, latent, latent, DREAMLITE).timesteps
    assert [round(t, 2) for t in found] == expected


@given(st.integers(1, 8), st.integers(4, 128), st.integers(4, 128), st.booleans())
def test_sigmas_equal_the_schedulers(steps, height, width, dynamic):
    from diffusers import FlowMatchEulerDiscreteScheduler

    config = {**DREAMLITE, "shift": 3.0, "use_dynamic_shifting": dynamic}
    scheduler = FlowMatchEulerDiscreteScheduler(**config)
    mu = sampler.shift(height * width // 4, config) if dynamic else None
    linear = torch.linspace(1, 1 / steps, steps).tolist()
    scheduler.set_timesteps(sigmas=linear, mu=mu)
    found = sampler.sigmas(steps, height, width, config).values
    assert torch.allclose(torch.tensor(found), scheduler.sigmas.float(), atol=1e-5)


def test_one_step_is_noise_minus_velocity():
    noise, velocity = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    done = sampler.euler(noise, velocity, torch.ones(2), torch.zeros(2))
    assert torch.equal(done, noise - velocity)


def test_slots_step_at_their_own_places():
    x, v = torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1)
    done = sampler.euler(x, v, torch.tensor([1.0, 0.5]), torch.tensor([0.5, 0.0]))
    assert done.flatten().tolist() == [-0.5, -0.5]
    done = sampler.euler(x, v, torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5]))
    assert done.flatten().tolist() == [-1.0, 0.0]


@given(st.integers(0, 2**62), st.integers(0, 2**31))
def test_noise_is_a_function_of_seed_and_index(seed, index):
    first = sampler.noise(seed, index, (2, 4, 4))
    assert torch.equal(first, sampler.noise(seed, index, (2, 4, 4)))
    assert not torch.equal(first, sampler.noise(seed + 1, index, (2, 4, 4)))
    assert not torch.equal(first, sampler.noise(seed, index + 1, (2, 4, 4)))


def test_noise_is_normal_and_independent_between_frames():
    many = torch.stack([sampler.noise(1, index, (4, 32, 32)) for index in range(50)])
    assert abs(many.mean()) < 0.01
    assert abs(many.std() - 1) < 0.01
    flat = many.flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.1
