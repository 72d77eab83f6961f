"""How nano is made, from nothing to a folder that loads as any model does: what is trained, on what, for how long.

Every stage has a folder with its checkpoint and log; what is finished there is not done again. The figures here are
close to those that the shipped weights were trained with; docs/lab-notes.md tells where they differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sidestream.adapter import checkpoint
from sidestream.adapter.temporal import attach
from sidestream.config import ModelConfig, Size, TrainConfig
from sidestream.console import Told
from sidestream.models import components, zoo
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
from sidestream.train.adapter import AdapterLoss, Habits
from sidestream.train.autoencoder import AutoencoderLoss
from sidestream.train.guidance import Guidance
from sidestream.train.lessons import SOURCE, Lessons, Meal, Shelves
from sidestream.train.loop import Loop, Loss, Pace, Parts, load_average
from sidestream.train.nano import RestyleLoss, Weights
from sidestream.train.passages import Passages, Step, passages
from sidestream.train.pictures import drawn, painted
from sidestream.types import Pixels

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CPU = torch.device("cpu")

DRAWN_STYLES = ("oil", "watercolor", "pencil", "anime", "render3d")
GRADES = ("night", "sunset", "monochrome", "warm", "cold", "invert")
SHARES = {style: 0.3 if style in GRADES else 1.0 for style in (*DRAWN_STYLES, "identity", *GRADES)}
"""How often each style is trained."""

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
PASSAGE = 9
"""Frames of a clip that the adapter learns from: gaps of 1 to 8."""
FIRST_WIDE, FIRST_CLIP = 50_000, 80_000
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
    Stage("small", small, Weights(refine_every=0), rate=0.007, share=0.41),
    Stage("large", large, Weights(refine_every=0), rate=0.006, share=0.33),
    Stage("sharp", large, Weights(pixels=2.0, refine_every=3), rate=0.004, share=0.26),
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

    def nano(self) -> bool:
        """Autoencoder, then encoder and denoiser, then a model folder."""
        parts = untrained(_words(), self.config.seed)
        with suppress(Stopped):
            if self._autoencoder(parts) and self._restyler(parts):
                save(self._made(), self.model_folder)
                return True
        return False

    def adapter(self, model: Path) -> bool:
        """An adapter for the model of a folder, as a file in the course's model folder."""
        parts = components.load(model, self._dtype, CPU)
        dreamlite = self._dreamlite(parts)
        adapter = attach(parts.unet, ModelConfig().hooks, rows=1, latent_stride=dreamlite.stride)
        painters = {name: style.paint for name, style in STYLES.items() if style.trained}
        with suppress(Stopped):
            clips, seed = self._passages(), self.config.seed
            loss = AdapterLoss(dreamlite, adapter, clips, painters, instruction, Habits(), seed)
            networks = {"networks": nn.ModuleDict(adapter.networks)}
            pace = Pace(steps=self.config.adapter_steps, rate=0.003)
            if self._run(self._loop("adapter", networks, pace), loss):
                self.model_folder.mkdir(parents=True, exist_ok=True)
                origin = {"model": "nano", "step": pace.steps}
                checkpoint.save(adapter, self.model_folder / zoo.ADAPTER, origin)
                return True
        return False

    def _made(self) -> Components:
        """The averages that training ended with; its own modules hold them rounded."""
        parts = untrained(_words(), self.config.seed)
        load_average(self.config.folder / "autoencoder", {"vae": parts.vae})
        learned = {"unet": parts.unet, "text_encoder": parts.text_encoder}
        load_average(self.config.folder / STAGES[-1].name, learned)
        return parts

    def _autoencoder(self, parts: Components) -> bool:
        nn.Module.to(parts.vae, self._dtype)
        shelves = self._galleries[0]
        # Half of what it sees are pictures, half are paintings.
        order = [shelf for style in DRAWN_STYLES for shelf in (shelves[SOURCE], shelves[style])]
        loss = AutoencoderLoss(parts.vae, order, batch=8, seed=self.config.seed)
        pace = Pace(steps=self.config.autoencoder_steps, rate=0.004, rest_rate=2e-3)
        return self._run(self._loop("autoencoder", {"vae": parts.vae}, pace), loss)

    def _restyler(self, parts: Components) -> bool:
        parts.to(CPU, self._dtype)
        model = self._dreamlite(parts)
        learning = {"unet": parts.unet, "text_encoder": parts.text_encoder}
        for module in learning.values():
            module.requires_grad_(True)
        # The engine computes its table of places once, when it loads.
        parts.text_encoder.model.visual.pos_embed.requires_grad_(False)
        graders = {name: STYLES[name].paint for name in ("identity", *GRADES)}
        lessons = Lessons(model, self._galleries, graders, SHARES, instruction, self.config.seed)
        guidance = Guidance(parts.unet, GUIDED, GUIDED_STRIDE)
        before: Loop | None = None
        for stage in STAGES:
            loss = RestyleLoss(
                model, lessons, stage.diet, guidance, stage.weights, self.config.seed
            )
            steps = max(1, round(stage.share * self.config.steps))
            pace = Pace(steps=steps, rate=stage.rate, averaging=0.998)
            loop = self._loop(stage.name, learning, pace, before)
            if not self._run(loop, loss):
                return False
            before = loop
        return True

    def _loop(self, name: str, parts: Parts, pace: Pace, before: Loop | None = None) -> Loop:
        loop = Loop(parts, pace, self.config.folder / name)
        if not loop.resume() and before is not None:
            loop.begin_with(before)
        return loop

    def _run(self, loop: Loop, loss: Loss) -> bool:
        """What it leaves in the modules are averages."""
        done = loop.run(loss, progress=partial(self.told, loop.folder.name), stop=self.stop)
        loop.use_average()
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
        told = self._rendered(f"{name}, drawn")
        shelves = {SOURCE: drawn(source, count, size, draw, workers=workers, told=told)}
        for style in DRAWN_STYLES:
            told, paint = self._rendered(f"{name}, {style}"), STYLES[style].paint
            path = folder / f"{style}.npy"
            shelves[style] = painted(path, source, paint, workers=workers, told=told)
        return shelves

    def _passages(self) -> Passages:
        told = self._rendered("clips")
        return passages(
            self.config.folder / "passages", self.config.clips, PASSAGE, SQUARE, _clip, told
        )

    def _rendered(self, name: str) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            self.told(name, done, total, {})
            if done < total and self.stop():
                raise Stopped

        return told

    def _dreamlite(self, parts: Components) -> DreamLite:
        assert parts.tokenizer is not None
        return DreamLite(parts, Template.of(parts.tokenizer), vision_size=VISION_SIZE)

    @property
    def _dtype(self) -> torch.dtype:
        return getattr(torch, self.config.dtype)


def save(parts: Components, folder: Path) -> None:
    """In diffusers layout, in half the bytes."""
    parts.to(CPU, torch.float16)
    parts.unet.save_pretrained(folder / "unet")
    parts.vae.save_pretrained(folder / "vae")
    _without(folder / "vae" / "config.json", "block_out_channels")
    parts.text_encoder.save_pretrained(folder / "text_encoder")
    assert parts.tokenizer is not None
    parts.tokenizer.save_pretrained(folder / "tokenizer")
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.parent.mkdir(exist_ok=True)
    scheduler.write_text(json.dumps(dict(parts.scheduler), indent=2) + "\n")
    sizes = {"pixels": SQUARE.width * SQUARE.height, "vision_size": VISION_SIZE}
    (folder / zoo.SIZES).write_text(json.dumps(sizes) + "\n")
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)  # the library writes them for their owner only


def _without(path: Path, key: str) -> None:
    """Drops an entry that the library writes and, reading it again, warns of."""
    config = json.loads(path.read_text("utf-8"))
    config.pop(key, None)
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _words() -> PreTrainedTokenizerBase:
    random = np.random.default_rng(5)
    phrases = [
        instruction(name, random)
        for name, style in STYLES.items()
        if style.trained
        for _ in range(PHRASES)
    ]
    return tokenizer(phrases, WORDS)


@cache
def _photos() -> tuple[Pixels, ...]:
    return tuple(photo.pixels for photo in photographs())


def _picture(first: int, size: Size, index: int) -> Pixels:
    return worlds.picture(first + index, size, _photos())


def _clip(index: int) -> Iterator[Step]:
    for moment in worlds.clip(FIRST_CLIP + index, SQUARE, PASSAGE, _photos(), cuts=False):
        yield moment.pixels, moment.flow, moment.revealed
