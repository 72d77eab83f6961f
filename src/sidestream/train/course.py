"""How nano is made, from nothing to a folder that loads as any model does: what is trained, on what, for how long.

Every stage has a folder with its checkpoint and log; what is finished there is not done again. The figures here are
close to those that the shipped weights were trained with; docs/lab-notes.md tells where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sidestream.config import Size, TrainConfig
from sidestream.console import Told
from sidestream.models import components
from sidestream.models.components import Components
from sidestream.models.dreamlite import DreamLite
from sidestream.models.instruct.template import Template
from sidestream.models.nano import VISION_SIZE
from sidestream.models.nano.architecture import untrained
from sidestream.models.nano.words import tokenizer
from sidestream.synth import worlds
from sidestream.synth.instructions import instruction
from sidestream.synth.photos import photographs
from sidestream.synth.styles import STYLES
from sidestream.train.autoencoder import AutoencoderLoss
from sidestream.train.export import save
from sidestream.train.guidance import Guidance
from sidestream.train.lessons import SOURCE, Lessons, Meal, Shelves
from sidestream.train.loop import Loop, Loss, Parts, Regimen, weights_of
from sidestream.train.nano import RestyleLoss, Weights
from sidestream.train.pictures import drawn, painted
from sidestream.types import Pixels

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CPU = torch.device("cpu")

DRAWN_STYLES = ("oil", "watercolor", "pencil", "anime", "render3d")
GRADES = ("night", "sunset", "monochrome", "warm", "cold", "invert")
SHARES = {
    **dict.fromkeys((*DRAWN_STYLES, "identity"), 1.0),
    **dict.fromkeys(GRADES, 0.3),
    "anime": 1.6,
}
"""How often each style is trained; the hardest most often."""

SQUARE, WIDE = Size(256, 256), Size(384, 256)
SMALL = Size(128, 128)
SIZES = (
    *[SQUARE] * 8,
    *[Size(352, 192), Size(288, 224)] * 2,
    Size(192, 352),
    Size(224, 288),
    Size(384, 160),
    Size(256, 160),
    Size(320, 192),
    Size(256, 192),
)
"""What the later stages are trained at, each as often as it is named: the shapes of 4:3, 16:9 and cinema film too."""

GUIDED, GUIDED_STRIDE = ("up_blocks.1",), 16
WORDS, PHRASES = 1024, 1000
FIRST_WIDE = 50_000
"""Worlds have numbers; no picture is of the world of another."""

Stop = Callable[[], bool]


class Stopped(Exception):
    """While pictures are rendered; those that are done are kept."""


@dataclass(frozen=True)
class Stage:
    """A part of the restyler's training."""

    name: str
    diet: Callable[[int], Meal]
    weights: Weights
    rate: float
    share: float
    """Of all its steps."""


def small(step: int) -> Meal:
    return Meal(SMALL, 16)


def large(step: int) -> Meal:
    """Pictures as large as they will be, four at a time where they are square, every other time of another shape."""
    size = SIZES[np.random.default_rng(step).integers(len(SIZES))]
    return Meal(size, max(1, round(4 * SQUARE.width * SQUARE.height / (size.width * size.height))))


STAGES = (
    Stage("small", small, Weights(refine_every=0), rate=0.007, share=0.25),
    Stage("large", large, Weights(refine_every=0), rate=0.006, share=0.2),
    Stage(
        "sharp", large, Weights(pixels=2.0, round_trip=3.0, refine_every=1), rate=0.004, share=0.55
    ),
)


@dataclass(frozen=True)
class Course:
    """Every method says whether it came to its end; one that was stopped goes on from there the next time."""

    config: TrainConfig
    told: Told
    stop: Stop

    @property
    def model_folder(self) -> Path:
        return self.config.folder / "model"

    def nano(self, start: Path | None = None) -> bool:
        """Autoencoder, then encoder and denoiser, then a model folder. From another model: its last stage alone."""
        parts = self.parts(start)
        learned = copied(parts) if start else {}
        with suppress(Stopped):
            stages = STAGES[-1:] if start else STAGES
            if (start or self._autoencoder(parts, learned)) and self._restyler(
                parts, stages, learned
            ):
                self.save(start, learned)
                return True
        return False

    def parts(self, start: Path | None) -> Components:
        if start is None:
            return untrained(words(), self.config.seed)
        return components.load(start, torch.float32, CPU)

    def save(self, start: Path | None, learned: Mapping[str, torch.Tensor]) -> None:
        """The averages that training ended with; its own modules hold them rounded."""
        parts = self.parts(start)
        with torch.no_grad():
            for name, weight in weights_of(modules_of(parts)).items():
                if name in learned:
                    weight.copy_(learned[name])
        save(parts, self.model_folder, SQUARE.width * SQUARE.height, VISION_SIZE)

    def _autoencoder(self, parts: Components, learned: dict[str, torch.Tensor]) -> bool:
        nn.Module.to(parts.vae, self.dtype)
        shelves = self._galleries[0]
        # Half of what it sees are pictures, half are paintings.
        order = [shelf for style in DRAWN_STYLES for shelf in (shelves[SOURCE], shelves[style])]
        loss = AutoencoderLoss(parts.vae, order, batch=8, seed=self.config.seed)
        regimen = Regimen(steps=self.config.autoencoder_steps, rate=0.004, rest_rate=2e-3)
        return self.run(regimen, "autoencoder", {"vae": parts.vae}, loss, learned)

    def _restyler(
        self, parts: Components, stages: Sequence[Stage], learned: dict[str, torch.Tensor]
    ) -> bool:
        model = self.dreamlite(parts.to(CPU, self.dtype))
        for module in (parts.unet, parts.text_encoder):
            module.requires_grad_(True)
        # The engine computes its table of places once, when it loads.
        parts.text_encoder.model.visual.pos_embed.requires_grad_(False)
        whole = sum(stage.share for stage in stages)
        for stage in stages:
            parts.vae.decoder.requires_grad_(stage.weights.round_trip > 0)
            steps = max(1, round(self.config.steps * stage.share / whole))
            regimen = Regimen(steps=steps, rate=stage.rate, averaging=0.998)
            loss = self.restyling(model, parts, stage.diet, stage.weights)
            if not self.run(regimen, stage.name, modules_of(parts), loss, learned):
                return False
        return True

    def restyling(
        self, model: DreamLite, parts: Components, diet: Callable[[int], Meal], weights: Weights
    ) -> RestyleLoss:
        graders = {name: STYLES[name].paint for name in ("identity", *GRADES)}
        lessons = Lessons(model, self._galleries, graders, SHARES, instruction, self.config.seed)
        guidance = Guidance(parts.unet, GUIDED, GUIDED_STRIDE)
        weights = replace(weights, immiscible=self.config.immiscible)
        return RestyleLoss(
            model,
            lessons,
            diet,
            guidance,
            parts.vae.decoder,
            weights,
            self.config.seed,
        )

    def run(
        self,
        regimen: Regimen,
        name: str,
        parts: Parts,
        loss: Loss,
        learned: dict[str, torch.Tensor],
    ) -> bool:
        """From what is learned already to the averages of this training, which the modules hold then too."""
        loop = Loop(parts, regimen, self.config.folder / name)
        if not loop.resume():
            loop.begin_with(learned)
        done = loop.run(loss, progress=partial(self.told, name), stop=self.stop)
        loop.use_average()
        learned |= loop.average
        return done

    @cached_property
    def _galleries(self) -> tuple[Shelves, ...]:
        pictures, wide = self.config.pictures, self.config.pictures // 4
        return (
            self._gallery("pictures", pictures, SQUARE, 0),
            self._gallery("wide", wide, WIDE, FIRST_WIDE),
        )

    def _gallery(self, name: str, count: int, size: Size, first: int) -> Shelves:
        """Pictures and how each style paints them."""
        folder, workers = self.config.folder / name, self.config.workers
        source = folder / f"{SOURCE}.npy"
        draw = partial(_picture, first, size)
        told = self.rendered(f"{name}, drawn")
        shelves = {SOURCE: drawn(source, count, size, draw, workers=workers, told=told)}
        for style in DRAWN_STYLES:
            told, paint = self.rendered(f"{name}, {style}"), STYLES[style].paint
            path = folder / f"{style}.npy"
            shelves[style] = painted(path, source, paint, workers=workers, told=told)
        return shelves

    def rendered(self, name: str) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            self.told(name, done, total, {})
            if done < total and self.stop():
                raise Stopped

        return told

    def dreamlite(self, parts: Components) -> DreamLite:
        assert parts.tokenizer is not None
        return DreamLite(parts, Template.of(parts.tokenizer), vision_size=VISION_SIZE)

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.config.dtype)


def modules_of(parts: Components) -> Parts:
    return {"unet": parts.unet, "vae": parts.vae, "text_encoder": parts.text_encoder}


def copied(parts: Components) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in weights_of(modules_of(parts)).items()}


def words() -> PreTrainedTokenizerBase:
    random = np.random.default_rng(5)
    phrases = [
        instruction(name, random)
        for name, style in STYLES.items()
        if style.trained
        for _ in range(PHRASES)
    ]
    return tokenizer(phrases, WORDS)


@cache
def photos() -> tuple[Pixels, ...]:
    return tuple(photo.pixels for photo in photographs())


def _picture(first: int, size: Size, index: int) -> Pixels:
    return worlds.picture(first + index, size, photos())
