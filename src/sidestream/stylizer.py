"""The door for users: load a model, open a stream, feed frames."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Any

import numpy as np

from sidestream.batching import consecutive, together
from sidestream.build import Built, auto_batch, build
from sidestream.config import LIMITS, ModelConfig, Size, StreamConfig
from sidestream.errors import ConfigError
from sidestream.media import pixels
from sidestream.stream import Stream
from sidestream.types import Batch, Controls, Frame, Pixels, Prompts, Styled

Picture = Frame | Pixels
ARRAY_RATE = 30
"""Frames a second that plain arrays are taken to have."""


class Stylizer:
    """A loaded model and the streams that run on it. Close it, or use it as a context manager."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self._free = list(range(LIMITS.max_streams))

    @classmethod
    def load(
        cls, model: str = "nano", config: ModelConfig = ModelConfig(), *, behind: bool = False
    ) -> Stylizer:
        """Loads a model by name, from a folder in diffusers layout, or from a hub id.

        `behind`: what is to be compiled is compiled in the background, while frames go on. What has begun when it is closed is
        finished all the same, and a script ends after it.
        """
        return cls(build(model, config, behind=behind))

    def open(
        self, prompt: Prompts, config: StreamConfig = StreamConfig(), **changes: Any
    ) -> OpenStream:
        """A new stream; `changes` are fields of StreamConfig."""
        if not self._free:
            raise ConfigError(
                f"{LIMITS.max_streams} streams are open, which is the most: close one first"
            )
        if isinstance(changes.get("size"), str):
            changes["size"] = Size.parse(changes["size"])
        config = replace(config, **changes)
        controls = Controls.of(config, prompt)
        self.built.model.read(controls)
        return OpenStream(self, Stream(controls, config, self.built.model.read, self._free.pop(0)))

    def together(self, feeds: Sequence[tuple[OpenStream, Iterable[Picture]]]) -> Generator[Styled]:
        """Runs several streams at once, a frame of each in one batch; `styled.stream` tells them apart."""
        opened = [stream for stream, _ in feeds]
        if len({id(stream) for stream in opened}) < len(opened):
            raise ConfigError("a stream was given twice: open one for each video")
        pairs = [(stream.stream, stream.frames(pictures)) for stream, pictures in feeds]
        return self._whole(together(pairs, self.fit), opened)

    def run(self, opened: OpenStream, pictures: Iterable[Picture]) -> Generator[Styled]:
        size = opened.stream.config.batch or auto_batch(live=False)
        batches = consecutive(opened.frames(pictures), opened.stream, size, self.fit)
        return self._whole(batches, [opened])

    def _whole(self, batches: Iterable[Batch], opened: Sequence[OpenStream]) -> Generator[Styled]:
        """A run that is left early has planned frames that were never made: nothing may build on them."""
        whole = False
        for one in opened:
            one.begin()
        try:
            yield from self.built.engine.run(batches)
            whole = True
        finally:
            for one in opened:
                one.end()
                if not whole:
                    one.stream.renew("left")

    def fit(self, frame: Frame, controls: Controls) -> Frame:
        """The frame at the size that the controls ask for, or at the model's own."""
        height, width = frame.pixels.shape[:2]
        size = pixels.fitted_size(width, height, controls, self.built.entry.pixels)
        return replace(frame, pixels=pixels.fit(frame.pixels, size, controls.fit))

    def release(self, stream: Stream) -> None:
        self._free.append(stream.slot)

    def close(self) -> None:
        self.built.close()

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
        self._closed = False
        self._running = False

    @property
    def controls(self) -> Controls:
        return self.stream.controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        self.stream.controls = controls

    def run(self, pictures: Iterable[Picture]) -> Generator[Styled]:
        """Restyles frames, or uint8 RGB arrays, in order; one comes out for each that goes in."""
        return self.stylizer.run(self, pictures)

    def frames(self, pictures: Iterable[Picture]) -> Generator[Frame]:
        """Arrays become frames, numbered on through the life of the stream."""
        for picture in pictures:
            if isinstance(picture, Frame):
                _checked(picture.pixels)
                yield picture
            else:
                # A copy: capture loops like to fill one buffer again and again, and frames wait in lanes.
                pixels_HWC = np.array(_checked(picture), order="C")
                yield Frame(pixels_HWC, self._taken, Fraction(1, ARRAY_RATE), self._taken)
            self._taken += 1

    def begin(self) -> None:
        """A run begins."""
        if self._closed:
            raise ConfigError("the stream is closed: open another")
        if self._running:
            raise ConfigError("the stream is running: finish or close that run first")
        self._running = True

    def end(self) -> None:
        self._running = False
        if self._closed:
            self.stylizer.release(self.stream)

    def reset(self) -> None:
        """Forgets the frames so far: the next one is treated as the first of a video."""
        self.stream.renew("reset")

    def close(self) -> None:
        """Gives the stream's place back, once a run that is going on has ended."""
        if not self._closed:
            self._closed = True
            if not self._running:
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
        and min(picture.shape[:2]) >= LIMITS.min_source_pixels
    ):
        given = (
            f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture)
        )
        raise ConfigError(
            "a picture must be a uint8 array of height x width x 3 (RGB),"
            f" at least {LIMITS.min_source_pixels} pixels a side, got {given}"
        )
    return picture
