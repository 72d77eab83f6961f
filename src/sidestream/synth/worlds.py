"""An endless supply of moving pictures with known flow, as varied as can be, to train on.

A world is a ground under a moving camera with things that move over it, seen through a lens. The same seed gives the
same bytes; photographs, where given, fill about half of all surfaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sidestream.config import Size
from sidestream.flow import Flow, Mask
from sidestream.synth.lens import CLEAR, Lens, develop, lens_for
from sidestream.synth.palettes import Random
from sidestream.synth.places import Place
from sidestream.synth.sprites import Sprite, View, backward_flow, revealed, view
from sidestream.types import Pixels

CUT_RATE = 1 / 60
"""How many cuts a frame, on average, where cuts are wanted."""
SHORTEST_SHOT = 6


@dataclass(frozen=True)
class Moment:
    """A frame of a clip and how it follows from the one before."""

    pixels: Pixels
    flow: Flow | None
    """Backward; none where nothing came before: on the first frame and at a cut."""
    revealed: Mask
    """Where what is seen was hidden in the frame before, or outside it."""
    cut: bool = False


@dataclass(frozen=True)
class World:
    sprites: tuple[Sprite, ...]
    lens: Lens
    first: View
    """What is seen at time 0."""
    seed: int

    def pixels(self, seen: View, time: int) -> Pixels:
        return develop(seen.picture, self.lens, time, np.random.default_rng((self.seed, time)))


def clip(
    seed: int,
    size: Size,
    frames: int,
    photos: Sequence[Pixels] = (),
    *,
    cuts: bool = True,
    clear: bool = False,
) -> Iterator[Moment]:
    """Where `clear`, the lens adds nothing: pixels are the surfaces', and their flow exact."""
    random = np.random.default_rng(seed)
    shots = _shots(random, frames) if cuts else [frames]
    for shot, length in enumerate(shots):
        moments = _shot(world(seed + shot * 2**40, size, photos, clear=clear), size, length)
        for index, moment in enumerate(moments):
            yield Moment(moment.pixels, moment.flow, moment.revealed, cut=shot > 0 and index == 0)


def picture(seed: int, size: Size, photos: Sequence[Pixels] = ()) -> Pixels:
    """The first frame of a clip."""
    one = world(seed, size, photos)
    return one.pixels(one.first, 0)


def world(seed: int, size: Size, photos: Sequence[Pixels] = (), *, clear: bool = False) -> World:
    random = np.random.default_rng(seed)
    sprites = tuple(Place(random, size, photos, shadows=not clear).sprites())
    first = view(sprites, 0, size)
    lens = CLEAR if clear else lens_for(random, first.picture)
    return World(sprites, lens, first, seed)


def _shots(random: Random, frames: int) -> list[int]:
    lengths: list[int] = []
    while frames > 0:
        length = max(SHORTEST_SHOT, round(random.exponential(1 / CUT_RATE)))
        lengths.append(length if frames - length >= SHORTEST_SHOT else frames)
        frames -= lengths[-1]
    return lengths


def _shot(world: World, size: Size, frames: int) -> Iterator[Moment]:
    now = world.first
    yield Moment(world.pixels(now, 0), None, np.ones_like(now.owners, np.bool_))
    for time in range(1, frames):
        before, now = now, view(world.sprites, time, size)
        flow = backward_flow(world.sprites, now.owners, time - 1, time)
        hidden = revealed(flow, now.owners, before.owners)
        pixels = world.pixels(now, time)
        bars = world.lens.bars
        if bars:
            for rows in (slice(None, bars), slice(-bars, None)):
                flow[rows], hidden[rows] = 0, False
        yield Moment(pixels, flow, hidden)
