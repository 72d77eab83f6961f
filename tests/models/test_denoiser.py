"""Our forward against upstream's own, over the same weights."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import lively
from sidestream.config import Size
from sidestream.errors import ModelError
from sidestream.models.denoiser import Denoiser
from sidestream.models.nano import architecture
from sidestream.types import TextState

TOKENS = 40
WIDTH, HEIGHT = 128, 64


@pytest.fixture(scope="module")
def parts():
    """Nano with calm attention: the pointed one of its lively weights blows rounding up."""
    built = lively.components()
    for name, weight in built.unet.named_parameters():
        if name.endswith("attn2.norm_q.weight"):
            weight.fill_(1)
    return built


@pytest.fixture(scope="module")
def denoiser(parts):
    return Denoiser(parts.unet, parts.scheduler, stride=8)


def states(batch: int) -> torch.Tensor:
    return torch.randn(batch, TOKENS, 128, generator=torch.Generator().manual_seed(1)) * 30


def latents(batch: int, seed: int) -> torch.Tensor:
    shape = (batch, 16, HEIGHT // 8, WIDTH // 8)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def text_of(denoiser: Denoiser, states_BLD: torch.Tensor, counting: int = TOKENS) -> TextState:
    counts = (torch.arange(states_BLD.shape[1]) < counting).float()
    batch = len(states_BLD)
    return TextState(denoiser.read(states_BLD), counts.expand(batch, 1, -1), torch.ones(batch, 1))


@torch.inference_mode()
def denoise(denoiser, noise, source, text, steps):
    constants = denoiser.steps(steps, Size(WIDTH, HEIGHT))
    for step in range(steps):
        index = torch.full((len(noise),), step)
        noise = denoiser.advance(noise, source, text, constants, index)
    return noise


@pytest.fixture(scope="module")
def upstream(parts):
    """The pipeline's own loop, given our text and noise."""
    from diffusers import DreamLiteMobilePipeline, FlowMatchEulerDiscreteScheduler

    class Given(DreamLiteMobilePipeline):
        def encode_prompt(self, **_):
            mask = torch.ones(1, TOKENS, dtype=torch.long)
            mask[:, 30:] = 0
            return states(1), mask

        def prepare_latents(self, *_, **__):
            return latents(1, seed=2)

    scheduler = FlowMatchEulerDiscreteScheduler(**parts.scheduler)
    pipeline = Given(
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        processor=None,
        vae=parts.vae,
        unet=parts.unet,
        scheduler=scheduler,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_latents_equal_the_upstream_pipelines(parts, denoiser, upstream, steps):
    random = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8)
    image = Image.fromarray(random.numpy())
    expected = upstream("x", image, num_inference_steps=steps, output_type="latent").images
    with torch.inference_mode():
        source = parts.vae.encoder(random.permute(2, 0, 1)[None] / 127.5 - 1)
        text = text_of(denoiser, states(1), counting=30)
        found = denoise(denoiser, latents(1, seed=2), source, text, steps)
    assert (found - expected).abs().max() < 1e-4 * expected.std()


def test_two_halves_of_one_prompt_are_the_prompt(denoiser):
    with torch.inference_mode():
        text = text_of(denoiser, states(2))
        kv = torch.cat((text.kv, text.kv), dim=4)
        halves = TextState(kv, torch.ones(2, 2, TOKENS), torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
    arguments = latents(2, 3), latents(2, 4)
    one, two = (denoise(denoiser, *arguments, given, 1) for given in (text, halves))
    assert (one - two).abs().max() < 1e-4


def test_a_cross_fade_ends_exactly_at_either_prompt(denoiser):
    with torch.inference_mode():
        first, second = states(1), -states(1)
        kv = torch.cat((denoiser.read(first), denoiser.read(second)), dim=4)
        faded = [
            TextState(kv, torch.ones(1, 2, TOKENS), torch.tensor([[weight, 1 - weight]]))
            for weight in (1.0, 0.5, 0.0)
        ]
    arguments = latents(1, 3), latents(1, 4)
    at_first, between, at_second = (denoise(denoiser, *arguments, text, 1) for text in faded)
    with torch.inference_mode():
        only = [text_of(denoiser, chosen) for chosen in (first, second)]
    ends = [denoise(denoiser, *arguments, text, 1) for text in only]
    assert (at_first - ends[0]).abs().max() < 1e-4
    assert (at_second - ends[1]).abs().max() < 1e-4
    assert (between - at_first).abs().mean() > 1e-2
    assert (between - at_second).abs().mean() > 1e-2


def test_slots_may_be_at_different_steps(denoiser):
    size = Size(WIDTH, HEIGHT)
    noise, source = latents(2, 5), latents(2, 6)
    with torch.inference_mode():
        text, constants = text_of(denoiser, states(2)), denoiser.steps(4, size)
        mixed = denoiser.advance(noise, source, text, constants, torch.tensor([0, 3]))
        alone = [
            denoiser.advance(noise, source, text, constants, torch.full((2,), step))[slot]
            for slot, step in ((0, 0), (1, 3))
        ]
    assert torch.allclose(mixed, torch.stack(alone), atol=1e-5)


def test_constants_are_computed_once_per_steps_and_size(denoiser):
    first = denoiser.steps(2, Size(64, 64))
    assert denoiser.steps(2, Size(64, 64)) is first
    assert denoiser.steps(2, Size(96, 64)) is not first


def test_a_u_net_of_another_kind_is_refused(parts):
    from diffusers import DreamLiteUNetModel

    other = DreamLiteUNetModel(**{**architecture.UNET, "qk_norm": None})
    with pytest.raises(ModelError, match="qk_norm = None"):
        Denoiser(other, parts.scheduler, stride=8)


def test_the_twin_has_the_released_size():
    from sidestream.models import twin

    with torch.device("meta"):
        unet = twin.unet()
    assert sum(weight.numel() for weight in unet.parameters()) == 389_968_388
