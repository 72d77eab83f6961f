"""How the adapters are made that keep a model's videos steady: one behind its decoder, or the paper's, inside its denoiser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from torch import nn

from sidestream.adapter import checkpoint
from sidestream.adapter.detail import TemporalDetail
from sidestream.adapter.detail import save as save_detail
from sidestream.adapter.temporal import TemporalLLLite, attach
from sidestream.config import ModelConfig
from sidestream.models.components import Components
from sidestream.models.dreamlite import DreamLite
from sidestream.synth import worlds
from sidestream.synth.instructions import instruction
from sidestream.synth.styles import STYLES
from sidestream.train.adapter import AdapterLoss, Habits
from sidestream.train.course import (
    CPU,
    SQUARE,
    STAGES,
    Course,
    Stopped,
    copied,
    large,
    modules_of,
    photos,
)
from sidestream.train.detail import DetailHabits, DetailLoss
from sidestream.train.export import save_adapter
from sidestream.train.loop import Loss, Regimen
from sidestream.train.passages import Passages, Step, passages

PASSAGE, FIRST_CLIP = 9, 80_000
"""Frames of a clip that adapters learn from: gaps of 1 to 8."""


class SteadyCourse(Course):
    """From a model that is there; its galleries are rendered only where its denoiser learns along."""

    def adapter(self, start: Path) -> bool:
        """A detail adapter for a model, which stays as it is; both are in the course's model folder then."""
        parts = self.parts(start).to(CPU, self.dtype)
        detail, styles = TemporalDetail(), [name for name, one in STYLES.items() if one.trained]
        with suppress(Stopped):
            loss = DetailLoss(
                self.dreamlite(parts),
                detail,
                self._passages(),
                styles,
                instruction,
                DetailHabits(),
                self.config.seed,
            )
            regimen = Regimen(
                steps=self.config.adapter_steps, rate=0.003, rest_rate=3e-3, averaging=0.99
            )
            if self.run(regimen, "adapter", {"detail": detail}, loss, {}):
                self.save(start, {})
                save_adapter(partial(save_detail, detail), self.model_folder, regimen.steps)
                return True
        return False

    def lllite(self, start: Path) -> bool:
        """An adapter inside the denoiser, which learns along, in the course's model folder."""
        parts = self.parts(start)
        learned = copied(parts)
        model = self.dreamlite(parts.to(CPU, self.dtype))
        adapter = attach(parts.unet, ModelConfig().hooks, rows=1, latent_stride=model.stride)
        adapter.detach()
        for module in (parts.unet, parts.vae.decoder):
            module.requires_grad_(True)
        with suppress(Stopped):
            regimen = Regimen(steps=self.config.lllite_steps, rate=0.003, averaging=0.998)
            learning = {**modules_of(parts), "networks": nn.ModuleDict(adapter.networks)}
            if self.run(regimen, "lllite", learning, self._steady(model, parts, adapter), learned):
                self.save(start, learned)
                save_adapter(partial(checkpoint.save, adapter), self.model_folder, regimen.steps)
                return True
        return False

    def _steady(self, model: DreamLite, parts: Components, adapter: TemporalLLLite) -> Loss:
        """By turns clips with the adapter, and pictures without it: off, the model has to stay what it is."""
        painters = {name: style.paint for name, style in STYLES.items() if style.trained}
        clips = AdapterLoss(
            model,
            adapter,
            parts.vae.decoder,
            self._passages(),
            painters,
            instruction,
            Habits(),
            self.config.seed,
        )
        pictures = self.restyling(model, parts, large, STAGES[-1].weights)
        return lambda step: (clips, pictures)[step % 2](step // 2)

    def _passages(self) -> Passages:
        told = self.rendered("clips")
        return passages(
            self.config.folder / "passages", self.config.clips, PASSAGE, SQUARE, _clip, told
        )


def _clip(index: int) -> Iterator[Step]:
    for moment in worlds.clip(FIRST_CLIP + index, SQUARE, PASSAGE, photos(), cuts=False):
        yield moment.pixels, moment.flow, moment.revealed
