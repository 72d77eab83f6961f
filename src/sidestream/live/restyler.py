"""The body of a worker: loads a model, warms it up, and drives its engine through whatever goes wrong in it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sidestream.batching import Costs, admit, slots_for
from sidestream.config import BATCH_SIZES, LIMITS, Size, StreamConfig
from sidestream.console import quiet_libraries
from sidestream.errors import EngineError
from sidestream.live.faults import LOST, Faults
from sidestream.live.feed import Feed
from sidestream.live.worker import Post, Workplace
from sidestream.media.pixels import working_size
from sidestream.stream import Stream
from sidestream.types import Controls, Frame, Key

if TYPE_CHECKING:
    from sidestream.stylizer import Stylizer

LOG = logging.getLogger("sidestream.live")
PROBE = Size(64, 64)
SPARE_SLOT = LIMITS.max_streams - 1
"""The stream that no seat has."""
SAID_AT_MOST = 20
REPORT_EVERY = 0.2
"""Seconds."""
GROW_AFTER = 60.0
"""Seconds."""


def restyle(workplace: Workplace) -> None:
    """The body of a real worker."""
    from sidestream.stylizer import Stylizer

    quiet_libraries()
    post = workplace.post
    faults = Faults(post.faults.of(post.number))
    faults.hit("load")
    with Stylizer.load(post.model, post.config, behind=True) as stylizer:
        read, device = stylizer.built.model.read, stylizer.built.device
        # On a GPU the engine gives no picture before it has the next batch: there, one after the other.
        depth = 1 if device.type == "cuda" else 2
        feed = Feed(workplace.board, read, post.stream, post.live, rest=workplace.rest, depth=depth)
        _warm_up(stylizer, feed, post)
        if faults:
            faults.install(stylizer.built)
        Restyler(stylizer, feed).run()


@dataclass(eq=False)
class Restyler:
    """Drives the engine over what the feed gathers, and survives what goes wrong in it."""

    stylizer: Stylizer
    feed: Feed
    degraded: str = ""
    degraded_at: float = 0.0
    reported: float = 0.0
    shrunk: float = 0.0
    said: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.most = self.feed.largest

    def run(self) -> None:
        self.report()
        while not self.feed.ended:
            self.feed.wait()
            try:
                self._burst()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others' pictures go on
                self._recover(error)
            self.report()

    def _burst(self) -> None:
        for styled in self.stylizer.built.engine.run(self.feed.batches()):
            self.feed.deliver(styled)
            if not styled.good:
                self._trouble("The model gave a picture without sense, which nobody saw.")
            if self.feed.clock() - self.reported > REPORT_EVERY:
                self.report()

    def _recover(self, error: Exception) -> None:
        """Drops what cannot be made and nothing else: each frame that was lost is tried once more, alone."""
        lost = self.feed.give_up()
        self._say(error)
        self._trouble("Some pictures failed and were made again.")
        if self._out_of_memory(error) and self.feed.largest > 1:
            self.feed.largest //= 2
            self.shrunk = self.feed.clock()
        for ticket in lost:
            self.feed.beat()
            try:
                for styled in self.stylizer.built.engine.run(self.feed.again(ticket)):
                    self.feed.deliver(styled)
            except Exception as alone:  # noqa: BLE001 - it is this frame's own; the next ones go on
                self.feed.give_up()
                self.feed.strike(ticket)
                self._say(alone)
                self._trouble("The picture of a viewer could not be restyled.")
                self._probe()

    def _probe(self) -> None:
        """Ends the process where the model fails at a picture of its own as well: what is broken then is not the frame."""
        try:
            _rehearse(self.stylizer, self.feed.config, PROBE, [SPARE_SLOT])
        except Exception:
            LOG.exception("the model fails at any picture: this process ends")
            self.report()
            os._exit(LOST)

    def _out_of_memory(self, error: Exception) -> bool:
        import torch

        out = isinstance(error, torch.OutOfMemoryError)
        if out or isinstance(error.__cause__, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            return True
        return False

    def _say(self, error: Exception) -> None:
        """Once for each kind of error, so that a failure at every frame does not fill a log."""
        if (kind := repr(error)) not in self.said and len(self.said) < SAID_AT_MOST:
            self.said.add(kind)
            LOG.warning("a batch failed; its frames are tried again alone", exc_info=error)

    def _trouble(self, sentence: str) -> None:
        self.degraded, self.degraded_at = sentence, self.feed.clock()

    def _grow(self) -> None:
        """A while after memory ran out, larger batches are tried again."""
        if self.feed.largest < self.most and self.feed.clock() - self.shrunk > GROW_AFTER:
            self.shrunk = self.feed.clock()
            self.feed.largest *= 2

    def report(self) -> None:
        self._grow()
        feed = self.feed
        self.reported = feed.clock()
        if feed.largest < self.most:
            self._trouble(f"Memory ran out: at most {feed.largest} pictures are made at once now.")
        feed.board.report.write(
            {
                "ready": True,
                "degraded": self.degraded,
                "degraded_at": self.degraded_at,
                "seats": feed.sittings.notices(self.reported),
                "largest": feed.largest,
                "counts": vars(feed.counts) | {"skipped": feed.sittings.skipped} | feed.pilot.stats,
            }
        )


def _warm_up(stylizer: Stylizer, feed: Feed, post: Post) -> None:
    """Runs a batch of every size that may come, so that none is slow when it counts, and learns what each costs."""
    import torch

    size = post.warm or working_size(4, 3, stylizer.built.entry.pixels)
    most = min(feed.largest, slots_for(post.layout.seats))
    feed.largest = 1
    for frames in [slots for slots in BATCH_SIZES if slots <= most]:
        feed.beat()
        try:
            key, seconds = _rehearse(stylizer, post.stream, size, range(frames))
        except EngineError as error:
            if frames == 1 or not isinstance(error.__cause__, torch.OutOfMemoryError):
                raise
            torch.cuda.empty_cache()
            break
        feed.costs[key] = feed.costs.get(key, Costs()).learn(frames, seconds)
        feed.largest = frames


def _rehearse(
    stylizer: Stylizer, config: StreamConfig, size: Size, slots: Sequence[int]
) -> tuple[Key, float]:
    """Three batches of streams that nobody sees; how long the last took, which had everything to do."""
    built = stylizer.built
    controls = Controls(prompt="rehearsal", size=size, steps=config.steps)
    streams = [Stream(controls, config, built.model.read, slot) for slot in slots]
    picture = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
    index = 0
    while True:
        start = time.monotonic()
        frame = Frame(picture, index, Fraction(1), index)
        batch = admit([(frame, stream) for stream in streams])
        made = list(built.engine.run([batch]))
        if not all(styled.good for styled in made):
            raise EngineError(
                "the model gives pictures without sense: check its weights, or use --dtype float32"
            )
        seconds = time.monotonic() - start
        index += 1
        if index == 3:
            return batch.key, seconds
