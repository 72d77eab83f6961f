"""What the denoiser learns from: pieces of pictures, how a style paints them, and words that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sidestream.config import Size
from sidestream.models.dreamlite import DreamLite
from sidestream.train.autoencoder import as_floats
from sidestream.train.pictures import Painter, Shelf
from sidestream.types import Pixels, Prompt, TextState

SOURCE = "source"

Random = np.random.Generator
Instruct = Callable[[str, Random], str]
Shelves = Mapping[str, Shelf]
"""The same pictures under `source` and as styles paint them."""


@dataclass(frozen=True)
class Meal:
    """What one step feeds on: pieces of this size, so many at a time."""

    size: Size
    batch: int


@dataclass(frozen=True, eq=False)
class Lesson:
    size: Size
    source_BCHW: torch.Tensor
    """Latents of the pictures."""
    target_BCHW: torch.Tensor
    """Latents of their paintings, in float32."""
    painted_BCHW: torch.Tensor
    """The paintings, from -1 to 1."""
    text: TextState


class Lessons:
    """Draws batches: which pieces of which pictures, in which styles, in which words."""

    def __init__(
        self,
        model: DreamLite,
        galleries: Sequence[Shelves],
        graders: Mapping[str, Painter],
        shares: Mapping[str, float],
        instruct: Instruct,
        seed: int,
    ) -> None:
        """`graders` paint where no shelf has the style; `shares`: how often each style comes."""
        self._model, self._galleries, self._graders = model, galleries, graders
        self._instruct, self._seed = instruct, seed
        self._styles = tuple(shares)
        self._chances = np.array(list(shares.values())) / sum(shares.values())

    def lesson(self, step: int, meal: Meal) -> Lesson:
        model, random = self._model, np.random.default_rng((self._seed, step))
        styles = [str(style) for style in random.choice(self._styles, meal.batch, p=self._chances)]
        pairs = [self._pair(style, meal.size, random) for style in styles]
        pictures, paintings = (as_floats(np.stack(side)) for side in zip(*pairs, strict=True))
        prompts = [self._instruct(style, random) for style in styles]
        with torch.no_grad():
            source, target = (
                model.encode_image(side.to(model.dtype)) for side in (pictures, paintings)
            )
        model.encoder.language.refresh()
        text = model.encode_text(pictures.to(model.dtype), prompts_of(model, prompts))
        return Lesson(meal.size, source, target.float(), paintings, text)

    def _pair(self, style: str, size: Size, random: Random) -> tuple[Pixels, Pixels]:
        """A piece of a picture and the same piece of its painting; lying ones are stood up where only that fits."""
        shelves, turned = self._fitting(size, random)
        height, width = (size.width, size.height) if turned else (size.height, size.width)
        index = random.integers(len(shelves[SOURCE]))
        top, left = (
            random.integers(have - want + 1)
            for have, want in zip(shelves[SOURCE].shape[1:3], (height, width), strict=True)
        )
        place = (index, slice(top, top + height), slice(left, left + width))
        picture = shelves[SOURCE][place]
        if turned:
            picture = picture.swapaxes(0, 1)
        if style not in shelves:
            return picture, self._graders[style](np.ascontiguousarray(picture))
        painting = shelves[style][place]
        return picture, painting.swapaxes(0, 1) if turned else painting

    def _fitting(self, size: Size, random: Random) -> tuple[Shelves, bool]:
        found = [
            (shelves, turned)
            for shelves in self._galleries
            for turned in (False, True)
            if _fits(shelves[SOURCE].shape[1:3], size, turned)
        ]
        upright = [choice for choice in found if not choice[1]] or found
        return upright[random.integers(len(upright))]


def prompts_of(model: DreamLite, texts: Sequence[str]) -> list[list[Prompt]]:
    """One prompt a picture, all padded to one length."""
    ids = [model.template.ids(text) for text in texts]
    length = model.template.bucket(max(map(len, ids)))
    return [[Prompt(one + (model.template.pad,) * (length - len(one)), len(one))] for one in ids]


def _fits(shape: tuple[int, ...], size: Size, turned: bool) -> bool:
    height, width = shape[::-1] if turned else shape
    return height >= size.height and width >= size.width
