"""A bench that paints what is asked for with the painters themselves: what a perfect model would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from sidestream import Stylizer
from sidestream.config import Size, StreamConfig
from sidestream.eval.bench import Bench, Extent
from sidestream.eval.clips import Clip
from sidestream.stylizer import Picture
from sidestream.synth.instructions import held_out
from sidestream.synth.styles import STYLES
from sidestream.synth.worlds import clip as world
from sidestream.types import Frame, Pixels

SIZE = Size(64, 64)
ASKED = {prompt: style for style in STYLES for prompt in held_out(style)}


def _whole(pixels: Pixels) -> Pixels:
    return pixels


@dataclass(frozen=True, eq=False)
class Painter(Bench):
    spoil: Callable[[Pixels], Pixels] = _whole
    """What befalls every painting."""

    def restyled(
        self,
        pictures: Iterable[Picture],
        prompts: Sequence[str],
        config: StreamConfig,
        *,
        adapter: bool = False,
    ) -> list[Pixels]:
        outputs: list[Pixels] = []
        for index, picture in enumerate(pictures):
            pixels = picture.pixels if isinstance(picture, Frame) else picture
            style = STYLES[ASKED[prompts[index % len(prompts)]]]
            outputs.append(self.spoil(style.paint(pixels)))
            self.tick()
        return outputs


@pytest.fixture
def painter(nano: Stylizer) -> Painter:
    return Painter("nano", nano, nano, Extent(3))


@pytest.fixture
def blurred(painter: Painter) -> Painter:
    import cv2

    return replace(painter, spoil=lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), 4)))


@pytest.fixture(scope="session")
def clip() -> Clip:
    return Clip("moving", [moment.pixels for moment in world(5, SIZE, 12, cuts=False)])
