"""When frames go in and when they come out, and what that makes: the only place that stamps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sidestream.report import Meter, Report
from sidestream.stylizer import OpenStream, Stylizer
from sidestream.types import Pixels, Styled

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Timeline:
    """When each frame was handed in and when it came out: seconds of one clock, in the order of coming out."""

    taken: Sequence[float]
    given: Sequence[float]
    together: int = 1
    """Frames that come out at once: those of a batch."""

    def __len__(self) -> int:
        return len(self.given)

    @property
    def seconds(self) -> float:
        """From the first frame in to the last one out."""
        return self.given[-1] - min(self.taken)

    @property
    def latencies_ms(self) -> list[float]:
        return [1000 * (given - taken) for taken, given in zip(self.taken, self.given, strict=True)]

    @property
    def gaps_ms(self) -> list[float]:
        """Between frames that come out one after the other; those of a batch come at once."""
        return _gaps_ms(self.given)

    @property
    def batch_gaps_ms(self) -> list[float]:
        """Between the last frames of batches."""
        return _gaps_ms(self.given[self.together - 1 :: self.together])

    def part(self, start: int, stop: int) -> Timeline:
        return Timeline(self.taken[start:stop], self.given[start:stop], self.together)


@dataclass(frozen=True, eq=False)
class Run:
    """What one run of a model was measured to do, what warmed it up apart."""

    warm_up: Timeline
    steady: Timeline
    report: Report
    """Of the steady part."""


Feeds = Mapping[OpenStream, Sequence[Pixels]]


def run(stylizer: Stylizer, warm: Feeds, feeds: Feeds, rate: float | None = None) -> Run:
    """The streams go through `warm` first, then, still the same streams, through `feeds` under the clock."""
    warm_up = timed(stylizer, warm)
    meter = Meter(stylizer.built)
    steady = timed(stylizer, feeds, rate)
    report = meter.report(
        len(steady), expected=len(steady), configuration={}, warnings=(), stopped=False
    )
    return Run(warm_up, steady, report)


def timed(stylizer: Stylizer, feeds: Feeds, rate: float | None = None) -> Timeline:
    """One stream in batches of its own, several with a frame of each in every batch.

    With a rate, frames come as a camera's do, and are as old as the moment they were due.
    """
    waiting = {id(opened.stream): deque[float]() for opened in feeds}

    def stamped(opened: OpenStream, pictures: Iterable[Pixels]) -> Iterator[Pixels]:
        start = time.perf_counter()
        for number, picture in enumerate(pictures):
            now = time.perf_counter()
            due = start + number / rate if rate else now
            time.sleep(max(due - now, 0))
            waiting[id(opened.stream)].append(due)
            yield picture

    taken: list[float] = []
    given: list[float] = []
    for styled in _restyled(stylizer, [(one, stamped(one, feeds[one])) for one in feeds]):
        given.append(time.perf_counter())
        taken.append(waiting[id(styled.stream)].popleft())
    return Timeline(taken, given, _together(list(feeds)))


def pace(measured: Run) -> dict[str, float]:
    """How fast frames come, and how old they are then."""
    steady = measured.steady
    return {
        "fps": measured.report.fps,
        "step_fps": measured.report.step_fps,
        **percentiles("gap_ms", steady.gaps_ms),
        **percentiles("batch_gap_ms", steady.batch_gaps_ms),
        **percentiles("latency_ms", steady.latencies_ms),
        "frames": len(steady),
    }


def percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """`name` is of figures that there is at least one of, else nothing is said."""
    if not values:
        return {}
    return {f"{name}_p{one}": float(np.percentile(values, one)) for one in PERCENTILES}


def _restyled(
    stylizer: Stylizer, feeds: Sequence[tuple[OpenStream, Iterator[Pixels]]]
) -> Iterator[Styled]:
    if len(feeds) == 1:
        [(opened, pictures)] = feeds
        return opened.run(pictures)
    return stylizer.together(feeds)


def _together(opened: Sequence[OpenStream]) -> int:
    return len(opened) if len(opened) > 1 else opened[0].stream.config.batch or 1


def _gaps_ms(times: Sequence[float]) -> list[float]:
    return [1000 * float(gap) for gap in np.diff(times)]
