"""The door for users: load a model, open a stream, feed frames."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Any

import numpy as np

from sidestream.batching import consecutive, together
from sidestream.build import MAX_STREAMS, Built, auto_batch, build
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.errors import ConfigError
from sidestream.media import pixels
from sidestream.stream import Stream
from sidestream.types import Controls, Frame, Pixels, Styled

Picture = Frame | Pixels
ARRAY_RATE = 30
"""Frames a second that plain arrays are taken to have."""


class Stylizer:
    """A loaded model and the streams that run on it. Close it, or use it as a context manager."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self._free = list(range(MAX_STREAMS))

    @classmethod
    def load(cls, model: str = "nano", config: ModelConfig = ModelConfig()) -> Stylizer:
        """Loads a model by name, from a folder in diffusers layout, or from a hub id."""
        return cls(build(model, config))

    def open(
        self, prompt: str = "", config: StreamConfig = StreamConfig(), **changes: Any
    ) -> OpenStream:
        """A new stream; `changes` are fields of StreamConfig."""
        if not self._free:
            raise ConfigError(f"{MAX_STREAMS} streams are open, which is the most: close one first")
        if isinstance(changes.get("size"), str):
            changes["size"] = Size.parse(changes["size"])
        config = replace(config, **changes)
        controls = Controls(
            prompt=prompt,
            strength=config.strength,
            stability=config.stability,
            seed=config.seed,
            steps=config.steps,
            size=config.size,
            fit=config.fit,
        )
        slot = self._free[0]
        stream = Stream(controls, config, self.built.model.read, slot)
        self._free.remove(slot)
        return OpenStream(self, stream)

    def together(self, feeds: Sequence[tuple[OpenStream, Iterable[Picture]]]) -> Generator[Styled]:
        """Runs several streams at once, a frame of each in one batch; `styled.stream` tells them apart."""
        pairs = [(opened.stream, opened.frames(pictures)) for opened, pictures in feeds]
        return self.built.engine.run(together(pairs, self.fit))

    def fit(self, frame: Frame, controls: Controls) -> Frame:
        """The frame at the size that the controls ask for, or at the model's own."""
        height, width = frame.pixels.shape[:2]
        if controls.fit == "square":
            width = height = min(width, height)
        size = controls.size or pixels.working_size(width, height, self.built.entry.pixels)
        return replace(frame, pixels=pixels.fit(frame.pixels, size, controls.fit))

    def release(self, stream: Stream) -> None:
        if stream.slot not in self._free:
            self._free.append(stream.slot)

    def close(self) -> None:
        self.built.engine.close()

    def __enter__(self) -> Stylizer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class OpenStream:
    """One video being restyled. Set `controls` at any time; they hold for frames that enter afterwards."""

    def __init__(self, stylizer: Stylizer, stream: Stream) -> None:
        self.stylizer = stylizer
        self.stream = stream
        self._taken = 0

    @property
    def controls(self) -> Controls:
        return self.stream.controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        self.stream.controls = controls

    def run(self, pictures: Iterable[Picture]) -> Generator[Styled]:
        """Restyles frames, or uint8 RGB arrays, in order; one comes out for each that goes in."""
        built = self.stylizer.built
        size = self.stream.config.batch or auto_batch(built.entry.pixels, built.device.type)
        batches = consecutive(self.frames(pictures), self.stream, size, self.stylizer.fit)
        return built.engine.run(batches)

    def frames(self, pictures: Iterable[Picture]) -> Iterator[Frame]:
        """Arrays become frames, numbered on through the life of the stream."""
        for picture in pictures:
            if isinstance(picture, Frame):
                yield picture
            else:
                yield Frame(_checked(picture), self._taken, Fraction(1, ARRAY_RATE), self._taken)
            self._taken += 1

    def reset(self) -> None:
        """Forgets the frames so far: the next one is treated as the first of a video."""
        self.stream.renew()

    def close(self) -> None:
        """Gives the stream's place back."""
        self.stylizer.release(self.stream)

    def __enter__(self) -> OpenStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _checked(picture: Any) -> Pixels:
    if not (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and picture.ndim == 3
        and picture.shape[2] == 3
    ):
        given = (
            f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture)
        )
        raise ConfigError(
            f"a picture must be a uint8 array of height x width x 3 (RGB), got {given}"
        )
    return np.ascontiguousarray(picture)
