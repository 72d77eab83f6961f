"""The loop of `sidestream live`: frames in, the newest picture out at a steady beat, sound as late as the picture."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

from sidestream.config import Fit, Size
from sidestream.config_live import ShowLimits
from sidestream.errors import SidestreamError, SinkError
from sidestream.live.between import Dissolve, mixed
from sidestream.live.desk import Desk
from sidestream.live.intake import Intake
from sidestream.live.outlet import Heard, Outlet
from sidestream.live.pace import Pacer, Ticks
from sidestream.live.soundtrack import Soundtrack
from sidestream.live.studio import Seat, Shown
from sidestream.live.take import TakeRecorder
from sidestream.media.pixels import fit
from sidestream.types import Frame, Pixels

POLL = 0.01
"""Seconds after which it is looked again whether a picture is done."""
LAST = 2.0
"""Seconds that the last pictures have to come out, once the source has ended."""
LATENCIES = 100_000
STAMPS = 1e-5
"""Seconds by which a stamp may come back changed."""


@dataclass
class Tally:
    """What a show has done so far."""

    frames_in: int = 0
    frames_shown: int = 0
    """Restyled pictures that went out, each counted once."""
    frames_out: int = 0
    """Pictures that went out at the steady beat, those held and those between two restyled ones included."""
    frames_between: int = 0
    """Pictures between two restyled ones."""
    latencies: deque[float] = field(default_factory=lambda: deque[float](maxlen=LATENCIES))

    def latency(self, share: float) -> float | None:
        """Seconds from capture to going out, of this share of the pictures at most."""
        found = sorted(self.latencies)
        return found[min(len(found) - 1, int(len(found) * share))] if found else None


class Show:
    """Owns nothing: who opened source, seat and sinks closes them."""

    def __init__(
        self,
        intake: Intake,
        seat: Seat,
        outlets: Sequence[Outlet],
        desk: Desk,
        *,
        rate: Fraction,
        size: Size,
        shape: Fit,
        limits: ShowLimits,
        interpolate: bool = False,
        take: TakeRecorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._intake, self._seat, self._outlets, self._desk = intake, seat, outlets, desk
        self._rate, self._size, self._limits = rate, size, limits
        self._shape: Fit = shape
        self._take, self._clock = take, clock
        self.tally = Tally()
        self.pacer = Pacer(limits, ahead=interpolate)
        self._dissolve = Dissolve() if interpolate else None
        self._begun: float | None = None
        self._ticks: Ticks | None = None
        self._sound: Soundtrack | None = None
        self._newest: float | None = None
        self._counted = -inf
        self._restyled = False
        """Whether any restyled picture has gone out."""
        self._out: tuple[Shown, Pixels] | None = None
        """What was shown last, and how it went out."""

    def run(
        self, stop: Callable[[], bool], seconds: float | None, tell: Callable[[], None]
    ) -> None:
        """Until it is stopped, the time is over, or the source has ended and its last picture is out."""
        left: float | None = None
        begun: float | None = None
        while not stop():
            frame = self._intake.take(self._patience())
            if frame is not None:
                self._enter(frame)
            now = self._clock()
            self._give(now)
            tell()
            if begun is None and self._begun is not None:
                begun = now
            if begun is not None and seconds is not None and now - begun >= seconds:
                return
            if self._intake.ended:
                left = now + self.pacer.delay + LAST if left is None else left
                if now >= left or self._all_shown():
                    return

    def _patience(self) -> float:
        if self._ticks is None:
            return POLL
        return min(POLL, self._ticks.next - self._clock())

    def _enter(self, frame: Frame) -> None:
        first = self._begun is None
        if self._begun is None:
            self._begun = frame.seconds
        changed = self._desk.settle(self._seat, frame.seconds - self._begun)
        if self._take is not None:
            if first or changed:
                self._take.note(frame, self._seat.controls)
            self._take.record(frame)
        self._seat.submit(frame.pixels, frame.seconds)
        self._newest = frame.seconds
        self.tally.frames_in += 1

    def _give(self, now: float) -> None:
        self.pacer.offer(self._seat.shown(), now)
        if self.pacer.at(now) is not None and self._ticks is None:
            self._ticks = Ticks(self._rate, now, self._limits)
            self._sound = Soundtrack(now)
        for sound in self._intake.sounds():
            if self._sound is not None:
                self._sound.add(sound)
            if self._take is not None:
                self._take.hear(sound)
        if self._ticks is not None:
            for number, moment in self._ticks.due(now):
                self._tick(number, moment, now)

    def _tick(self, number: int, moment: float, now: float) -> None:
        shown = self.pacer.at(moment)
        if shown is None:
            return
        if self._out is None or self._out[0] is not shown:
            pixels = self._begin(shown, now)
        else:
            pixels = self._on_the_way(*self._out, moment)
        self._put(Frame(pixels, number, 1 / self._rate, number))
        self.tally.frames_out += 1
        if self._sound is not None:
            begin = self._sound.seconds
            samples = self._sound.until(number / float(self._rate), self.pacer.delay)
            if samples.shape[1]:
                self._put(Heard(samples, begin))

    def _begin(self, shown: Shown, now: float) -> Pixels:
        """A picture as it goes out; one that is held is fitted once."""
        pixels = fit(shown.pixels, self._size, self._shape)
        self._restyled = self._restyled or shown.origin == "restyled"
        if shown.origin != "source" and shown.stamp > self._counted:
            self._counted = shown.stamp
            self.tally.frames_shown += 1
            self.tally.latencies.append(now - shown.stamp)
        self._out = (shown, pixels)
        return pixels

    def _on_the_way(self, shown: Shown, pixels: Pixels, moment: float) -> Pixels:
        """A picture that was shown already, or one between it and the next."""
        coming = self.pacer.coming(moment)
        if self._dissolve is None or coming is None or not self._dissolve.joins(shown, coming[0]):
            return pixels
        self.tally.frames_between += 1
        later, share = coming
        return mixed(pixels, fit(later.pixels, self._size, self._shape), share)

    def _put(self, item: Frame | Heard) -> None:
        for outlet in self._outlets:
            if self._restyled or not outlet.restyled_first:
                outlet.put(item)
        if all(outlet.broken for outlet in self._outlets):
            raise self._failure()

    def _failure(self) -> SidestreamError:
        known = [one.error for one in self._outlets if isinstance(one.error, SinkError)]
        return known[0] if known else SinkError(f"{self._outlets[0].name} has ended: start again")

    def _all_shown(self) -> bool:
        """Whether the picture of the newest frame is out."""
        shown = self._seat.shown()
        if shown is None or self._out is None:
            return self._newest is None
        newest = self._newest is None or shown.stamp >= self._newest - STAMPS
        return newest and self._out[0].sequence == shown.sequence
