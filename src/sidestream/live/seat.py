"""One viewer's place, in the process of the front end: frames in, and what to show at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sidestream.config import LIMITS, Size
from sidestream.config_live import LiveConfig
from sidestream.errors import ConfigError
from sidestream.live.shared import Layout, Letter, Place, Tag
from sidestream.live.studio import Origin, Shown
from sidestream.live.wishes import Wish
from sidestream.media import pixels as shapes
from sidestream.models.instruct.template import clean
from sidestream.types import Controls, Pixels, Prompts

RATE_OVER = 3.0
"""Seconds over which frames a second are counted."""
HELD = "The picture is held for a moment: the model is behind."
BAD = "The last good picture is shown: the model gave none for the newest frame."


@dataclass(frozen=True)
class Standing:
    """How the studio stands towards one seat."""

    serving: bool
    """Whether a worker is there and restyles."""
    notice: str = ""
    """What to say to the viewer."""
    barred: bool = False
    """Whether the seat is left out for the time being."""


@dataclass(frozen=True, eq=False)
class Lease:
    """What a studio hands to a seat."""

    place: Place
    layout: Layout
    tenancy: int
    budget_pixels: int
    size: Size | None
    """Where controls ask for none; None: about `budget_pixels` in the frame's own shape."""
    standing: Callable[[], Standing]
    knock: Callable[[], None]
    """Tells the worker that something was handed in."""
    release: Callable[[], None]
    read: Callable[[str], str] = clean
    """A prompt as the model will see it; refuses one that it cannot read."""


@dataclass(frozen=True)
class Progress:
    """What is known when it is decided what to show."""

    made: bool = False
    """Whether there is a restyled picture."""
    received: float = 0.0
    """When it came."""
    good: bool = True
    """False: the model has failed at a newer frame."""
    waiting: float | None = None
    """Since when a newer frame has waited."""


def origin_of(known: Progress, standing: Standing, now: float, config: LiveConfig) -> Origin:
    """Which picture a viewer sees: never none, and never one that stands still for long while they move."""
    if not known.made or standing.barred:
        return "source"
    late = known.waiting is not None and now - known.waiting > config.late
    if standing.serving and known.good and not late:
        return "restyled"
    return "held" if now - known.received <= config.late + config.hold else "source"


class LiveSeat:
    """Owns what one viewer handed in and was shown. Called from one thread."""

    def __init__(
        self, lease: Lease, controls: Controls, config: LiveConfig, clock: Callable[[], float]
    ) -> None:
        self._lease = lease
        self._config = config
        self._clock = clock
        self._controls = replace(controls, revision=0)
        self._source: Shown | None = None
        self._made: Shown | None = None
        self._shown: Shown | None = None
        self._known = Progress()
        self._first = self._taken = lease.place.pictures.newest
        self._handed_in = self._held = 0
        self._arrived = 0.0
        self._rate: deque[tuple[float, int]] = deque()
        self._closed = False
        self._words: Prompts = ""
        self.change(controls)

    @property
    def controls(self) -> Controls:
        return self._controls

    def change(self, controls: Controls) -> int:
        words = tuple((self._lease.read(text), weight) for text, weight in controls.prompts)
        if controls.size is not None and not self._lease.layout.holds(controls.size):
            raise ConfigError(
                f"this studio has room for pictures of {self._lease.layout.frame_bytes // 3} pixels,"
                f" got {controls.size}: ask for a smaller size"
            )
        self._controls = replace(controls, revision=self._controls.revision + 1)
        # As the model will read it: what was given may be long without saying much.
        self._words = words[0][0] if isinstance(controls.prompt, str) else words
        if not self._closed:
            self._wish()
        return self._controls.revision

    def submit(self, pixels: Pixels, stamp: float) -> None:
        fitted = shapes.fit(_checked(pixels), self._size(pixels), self._controls.fit)
        now = self._clock()
        self._handed_in += 1
        if fitted is pixels:  # capture loops like to fill one buffer again and again
            fitted = pixels.copy()
        self._source = Shown(fitted, stamp, self._handed_in, self._controls.revision, "source")
        self._arrived = now
        if self._known.waiting is None:
            self._known = replace(self._known, waiting=now)
        if not self._closed:  # else the place may be somebody else's by now
            tag = Tag(stamp, now, self._controls.revision, self._lease.tenancy)
            self._lease.place.frames.put(fitted, tag)
            self._lease.knock()

    def shown(self) -> Shown | None:
        if self._source is None:
            return None
        now = self._clock()
        self._collect(now)
        standing = self._lease.standing()
        origin = origin_of(self._known, standing, now, self._config)
        picture = self._source if origin == "source" or self._made is None else self._made
        before = self._shown
        if before is None or before.pixels is not picture.pixels:
            sequence = before.sequence + 1 if before else 1
            self._held += origin == "held"
        else:
            sequence = before.sequence
            self._held += origin == "held" and before.origin != "held"
        notice = standing.notice
        if origin == "held" and not notice:
            notice = HELD if self._known.good else BAD
        self._shown = replace(picture, sequence=sequence, origin=origin, notice=notice)
        return self._shown

    def stats(self) -> Mapping[str, float]:
        now = self._clock()
        self._collect(now)
        made = self._taken - self._first
        shown = self._shown
        return {
            "frames": self._handed_in,
            "made": made,
            "dropped": max(0, self._handed_in - made - (self._known.waiting is not None)),
            "held": self._held,
            "fps": self._frames_a_second(now),
            "age": now - shown.stamp if shown else 0.0,
        }

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._wish()
            self._lease.release()

    def _wish(self) -> None:
        controls = replace(self._controls, prompt=self._words)
        wish = Wish(self._lease.tenancy, not self._closed, controls)
        self._lease.place.wishes.write(wish.words())
        self._lease.knock()

    def _size(self, pixels: Pixels) -> Size:
        """The working size; a shape that the model's own number of pixels does not suit gets fewer."""
        asked = replace(self._controls, size=self._controls.size or self._lease.size)
        height, width = pixels.shape[:2]
        budget = self._lease.budget_pixels
        while True:
            size = shapes.fitted_size(width, height, asked, budget)
            if self._lease.layout.holds(size):
                return size
            budget = budget * 3 // 4

    def _collect(self, now: float) -> None:
        """Takes what the worker has made since."""
        letter = self._lease.place.pictures.take(self._taken)
        if letter is None or letter.tag.tenancy != self._lease.tenancy:
            return
        self._taken = letter.sequence
        self._rate.append((now, letter.sequence))
        waiting = now if self._arrived > letter.tag.arrived else None
        if letter.tag.origin == "restyled":
            self._made = _shown(letter)
            self._known = Progress(True, now, True, waiting)
        else:
            self._held += 1
            self._known = replace(self._known, good=False, waiting=waiting)

    def _frames_a_second(self, now: float) -> float:
        while self._rate and now - self._rate[0][0] > RATE_OVER:
            self._rate.popleft()
        if len(self._rate) < 2:
            return 0.0
        (start, first), (_, last) = self._rate[0], self._rate[-1]
        return (last - first) / max(now - start, 1e-6)


def _shown(letter: Letter) -> Shown:
    return Shown(letter.data, letter.tag.stamp, letter.sequence, letter.tag.revision)


def _checked(pixels: Pixels) -> Pixels:
    right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    if not right or min(pixels.shape[:2]) < LIMITS.min_source_pixels:
        raise ConfigError(
            "a frame must be a uint8 array of height x width x 3 (RGB), at least"
            f" {LIMITS.min_source_pixels} pixels a side, got {pixels.dtype} {pixels.shape}"
        )
    return pixels
