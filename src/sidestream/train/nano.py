"""Trains nano's encoder and denoiser together: a picture and an instruction to the painted picture.

Flow matching, at the times that inference uses. A first step starts from noise. A second one starts from the model's own
answer with noise added again, as it will when K > 1, and has to come as close to the painting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from sidestream.models.dreamlite import DreamLite
from sidestream.sampler import TRAIN_STEPS
from sidestream.train.autoencoder import LATENT_NOISE
from sidestream.train.guidance import Guidance
from sidestream.train.lessons import Lesson, Lessons, Meal
from sidestream.train.losses import latent_loss, picture_loss
from sidestream.train.pairing import least_distance

LATER_SIGMAS = (0.3, 0.9)
"""Noise levels that steps after the first one start from."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What the loss is made of."""

    guidance: float = 0.05
    pixels: float = 0.0
    """The decoded picture: its pixels and edges."""
    texture: float = 3.0
    """Of that, the strength of strokes."""
    round_trip: float = 0.0
    """The painting itself through the autoencoder, as it is: what keeps a decoder faithful that learns along."""
    refine_every: int = 3
    """Every so many steps train a second step too. 0: never."""
    immiscible: bool = False
    """Give each painting of a batch the noise nearest to it."""


class RestyleLoss:
    def __init__(
        self,
        model: DreamLite,
        lessons: Lessons,
        diet: Callable[[int], Meal],
        guidance: Guidance,
        decode: Callable[[torch.Tensor], torch.Tensor],
        weights: Weights,
        seed: int,
    ) -> None:
        """`decode`: latents to pictures, by the weights as they are at each step."""
        self._model, self._lessons, self._diet, self._decode = model, lessons, diet, decode
        self._guidance, self._weights, self._seed = guidance, weights, seed

    def __call__(self, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        weights = self._weights
        generator = torch.Generator().manual_seed((self._seed << 32) + step)
        lesson = self._lessons.lesson(step, self._diet(step))
        shape = lesson.target_BCHW.shape
        noise = torch.randn(shape, generator=generator)
        if weights.immiscible:
            noise = noise[least_distance(lesson.target_BCHW, noise)]
        answer = self._answer(lesson, noise, torch.ones(shape[0]))
        loss, figures = self._judge(lesson, answer)
        if weights.guidance:
            attention = self._guidance.cross_entropy(lesson.size)
            loss = loss + weights.guidance * attention
            figures["attention"] = float(attention.detach())
        if weights.refine_every and step % weights.refine_every == 0:
            low, high = LATER_SIGMAS
            sigma_B = low + (high - low) * torch.rand(shape[0], generator=generator)
            # Steps after the first go on with its noise; fresh noise keeps the answer from leaning on it.
            again = (
                noise
                if step // weights.refine_every % 2
                else torch.randn(shape, generator=generator)
            )
            start = torch.lerp(answer.detach(), again, sigma_B[:, None, None, None])
            better, later = self._judge(lesson, self._answer(lesson, start, sigma_B))
            loss = loss + better
            figures["refined"] = later["latent"]
        if weights.round_trip:
            blurred = LATENT_NOISE * torch.randn(shape, generator=generator)
            back = self._seen(lesson.target_BCHW + blurred, lesson, texture=0.0)
            loss = loss + weights.round_trip * back
        return loss, figures

    def _answer(
        self, lesson: Lesson, start_BCHW: torch.Tensor, sigma_B: torch.Tensor
    ) -> torch.Tensor:
        """The painting's latents as the model sees them from this start, in float32."""
        model = self._model
        time = model.denoiser.embed(TRAIN_STEPS * sigma_B, lesson.size)
        velocity = model.denoiser.velocity(
            start_BCHW.to(model.dtype), lesson.source_BCHW, lesson.text, time
        )
        return start_BCHW - sigma_B[:, None, None, None] * velocity.float()

    def _judge(
        self, lesson: Lesson, answer_BCHW: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        loss = latent_loss(answer_BCHW, lesson.target_BCHW)
        figures = {"latent": float(loss.detach())}
        if self._weights.pixels:
            seen = self._seen(answer_BCHW, lesson, self._weights.texture)
            loss = loss + self._weights.pixels * seen
            figures["picture"] = float(seen.detach())
        return loss, figures

    def _seen(self, latents_BCHW: torch.Tensor, lesson: Lesson, texture: float) -> torch.Tensor:
        shown = self._decode(latents_BCHW.to(self._model.dtype)).float()
        return picture_loss(shown, lesson.painted_BCHW, texture)
