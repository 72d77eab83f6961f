"""A model on the bench: with its adapter and without, through the door that users take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sidestream import records
from sidestream.config import Size, StreamConfig
from sidestream.report import environment
from sidestream.stylizer import Picture, Stylizer
from sidestream.synth.styles import STYLES
from sidestream.types import Pixels

DRAWN = ("oil", "watercolor", "pencil", "anime", "render3d")
"""The styles that a model must have learnt."""
UNSEEN = tuple(style.name for style in STYLES.values() if not style.trained)
STEPS = (1, 2, 4)

Tick = Callable[[], None]


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    frames: int = 24
    """Of each clip."""
    quick: bool = False
    """One step and four; one style a clip for what is steady, and the adapter on and off alone."""

    @property
    def steps(self) -> Sequence[int]:
        return (STEPS[0], STEPS[-1]) if self.quick else STEPS

    def styles(self, clip: int) -> Sequence[str]:
        """Of what is steady."""
        return (DRAWN[clip % len(DRAWN)],) if self.quick else DRAWN


@dataclass(frozen=True, eq=False)
class Bench:
    """A model with its adapter and without, and how much to ask of it."""

    model: str
    steady: Stylizer
    plain: Stylizer
    extent: Extent = Extent()
    tick: Tick = lambda: None
    """Told of every frame that is restyled."""

    def restyled(
        self,
        pictures: Iterable[Picture],
        prompts: Sequence[str],
        config: StreamConfig,
        *,
        adapter: bool = False,
    ) -> list[Pixels]:
        """Each picture with a prompt; the prompts go round."""
        stylizer = self.steady if adapter else self.plain
        with stylizer.open(prompts[0], config) as opened:

            def told() -> Iterator[Picture]:
                for index, picture in enumerate(pictures):
                    opened.controls = replace(opened.controls, prompt=prompts[index % len(prompts)])
                    yield picture

            outputs: list[Pixels] = []
            for styled in opened.run(told()):
                outputs.append(styled.pixels)
                self.tick()
            return outputs

    def environment(self) -> dict[str, Any]:
        return {
            **environment(self.steady.built.device),
            "commit": records.commit(Path(__file__).parent),
        }


def settings(config: StreamConfig, *, adapter: bool) -> dict[str, Any]:
    return {
        "adapter": "default" if adapter else "none",
        "stream": {**asdict(config), "size": str(config.size)},
    }


def turned(prompts: Sequence[str], by: int) -> list[str]:
    """From another one on."""
    by %= len(prompts)
    return [*prompts[by:], *prompts[:by]]


def size_of(pixels: Pixels) -> Size:
    height, width = pixels.shape[:2]
    return Size(width, height)
