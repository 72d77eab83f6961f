"""Trains the temporal adapter: to carry the last output on where flow says it went, as sharp as a fresh painting.

What it is shown is what the engine will show it: an output moved by estimated flow over 1 to 8 frames, the input where
flow has no trust. The outputs are paintings or the model's own. What it learns to give is that same output moved by the
known flow, mixed with a fresh painting, and the fresh one alone where something came into view; its
strokes are to be as strong as those of the fresh one, since mixing softens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sidestream.adapter.temporal import TemporalLLLite
from sidestream.config import Size
from sidestream.flow import Backward, targets_of, warp
from sidestream.models.dreamlite import DreamLite
from sidestream.sampler import TRAIN_STEPS
from sidestream.train.autoencoder import as_floats
from sidestream.train.lessons import Instruct, prompts_of
from sidestream.train.losses import latent_loss, picture_loss, texture_loss
from sidestream.train.passages import Passages
from sidestream.train.pictures import Painter
from sidestream.types import Pixels, TextState


@dataclass(frozen=True, kw_only=True)
class Habits:
    hold: float = 0.85
    """Share of the moved painting in what is to be given where it can be known."""
    own: float = 0.5
    """How often the last output shown is the model's own."""
    absent: float = 0.1
    """How often the adapter is switched off."""
    texture: float = 3.0
    """The strength of strokes."""
    batch: int = 4


@dataclass(frozen=True)
class Scene:
    """Two frames of a clip, how they are painted, and how the one moved to the other."""

    earlier: Pixels
    input: Pixels
    before: Pixels
    """The earlier frame, painted."""
    fresh: Pixels
    """The later frame, painted."""
    prompt: str
    known: Backward
    estimated: Backward


class AdapterLoss:
    def __init__(
        self,
        model: DreamLite,
        adapter: TemporalLLLite,
        decode: Callable[[torch.Tensor], torch.Tensor],
        passages: Passages,
        painters: Mapping[str, Painter],
        instruct: Instruct,
        habits: Habits,
        seed: int,
    ) -> None:
        """`decode`: latents to pictures, by the weights as they are at each step."""
        self._model, self._adapter, self._passages = model, adapter, passages
        self._decode = decode
        self._painters, self._instruct = painters, instruct
        self._styles = tuple(painters)
        self._habits, self._seed = habits, seed

    def __call__(self, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        habits, model = self._habits, self._model
        random = np.random.default_rng((self._seed, step))
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        scenes = [self._scene(random) for _ in range(habits.batch)]
        inputs = stacked(scene.input for scene in scenes)
        fresh = stacked(scene.fresh for scene in scenes)
        with torch.no_grad():
            text = self._told(inputs, scenes)
            outputs = stacked(scene.before for scene in scenes)
            if random.random() < habits.own:
                outputs = self._own(scenes, generator)
            shown = self._shown(scenes, outputs, inputs)
            wanted = self._wanted(scenes, outputs)
            source, target = (model.encode_image(side.to(model.dtype)) for side in (inputs, wanted))
        present = torch.from_numpy(random.random(habits.batch) >= habits.absent).float()
        with self._adapter.trained_form(shown, present.view(-1, 1, 1)):
            answer = self._answer(source, text, generator, _size(inputs))
        latents = latent_loss(answer, target.float())
        made = self._decode(answer.to(model.dtype)).float()
        seen = picture_loss(made, wanted, 0.0) + habits.texture * texture_loss(made, fresh)
        figures = {"held latent": float(latents.detach()), "held picture": float(seen.detach())}
        return latents + 2 * seen, figures

    def _scene(self, random: np.random.Generator) -> Scene:
        passages = self._passages
        clip = int(random.integers(len(passages)))
        length = passages.frames.shape[1]
        first = int(random.integers(length - 1))
        last = int(random.integers(first + 1, length))
        style = str(random.choice(self._styles))
        earlier, now = (np.array(passages.frames[clip, time]) for time in (first, last))
        before, fresh = (self._painters[style](picture) for picture in (earlier, now))
        return Scene(
            earlier,
            now,
            before,
            fresh,
            self._instruct(style, random),
            passages.known(clip, first, last),
            passages.estimated(clip, first, last),
        )

    def _told(self, inputs: torch.Tensor, scenes: Sequence[Scene]) -> TextState:
        model = self._model
        return model.encode_text(
            inputs.to(model.dtype), prompts_of(model, [scene.prompt for scene in scenes])
        )

    def _own(self, scenes: Sequence[Scene], generator: torch.Generator) -> torch.Tensor:
        """What the model itself makes of the earlier frames, held to their own paintings with half a will."""
        model = self._model
        inputs = stacked(scene.earlier for scene in scenes)
        before = stacked(scene.before for scene in scenes)
        with self._adapter.trained_form(before, float(torch.rand((), generator=generator))):
            source = model.encode_image(inputs.to(model.dtype))
            answer = self._answer(source, self._told(inputs, scenes), generator, _size(inputs))
        return self._decode(answer.to(model.dtype)).float().clamp(-1, 1)

    def _shown(
        self, scenes: Sequence[Scene], outputs: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        """The conditioning picture, made as the engine makes it."""
        backward = torch.from_numpy(np.stack([scene.estimated.flow for scene in scenes]))
        hidden = torch.from_numpy(np.stack([scene.estimated.occluded for scene in scenes]))
        return torch.where(hidden[:, None], inputs, warp(outputs, backward))

    def _wanted(self, scenes: Sequence[Scene], outputs: torch.Tensor) -> torch.Tensor:
        """Held is what was shown: were it the painting where the model's own was shown, to hold on would not pay."""
        given = ((outputs + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).numpy()
        return stacked(
            held(before, scene.fresh, scene.known, self._habits.hold)
            for before, scene in zip(given, scenes, strict=True)
        )

    def _answer(
        self, source: torch.Tensor, text: TextState, generator: torch.Generator, size: Size
    ) -> torch.Tensor:
        """One step from noise, as latents in float32."""
        model = self._model
        noise = torch.randn(source.shape, generator=generator)
        time = model.denoiser.embed(torch.full((len(source),), float(TRAIN_STEPS)), size)
        return noise - model.denoiser.velocity(noise.to(model.dtype), source, text, time).float()


def held(before: Pixels, fresh: Pixels, known: Backward, hold: float) -> Pixels:
    """The painting of the earlier frame moved to the later one, as sharp as it was, into a fresh painting."""
    import cv2

    there = _lanczos(before, known)
    hidden = cv2.dilate(known.occluded.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(
        np.float32
    )
    share = hold * (1 - cv2.GaussianBlur(hidden, (0, 0), 1.5))[..., None]
    return np.rint(fresh + share * (there.astype(np.float32) - fresh)).clip(0, 255).astype(np.uint8)


def moved(picture_CHW: torch.Tensor, known: Backward) -> torch.Tensor:
    """A picture moved as sharp as it was."""
    there = _lanczos(picture_CHW.permute(1, 2, 0).numpy(), known)
    return torch.from_numpy(there).permute(2, 0, 1)


def _lanczos(picture_HWC: NDArray[Any], known: Backward) -> NDArray[Any]:
    import cv2

    x, y = targets_of(known.flow)
    return cv2.remap(picture_HWC, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)


def stacked(pictures: Iterable[Pixels]) -> torch.Tensor:
    return as_floats(np.stack(list(pictures)))


def _size(pictures_BCHW: torch.Tensor) -> Size:
    return Size(pictures_BCHW.shape[3], pictures_BCHW.shape[2])
