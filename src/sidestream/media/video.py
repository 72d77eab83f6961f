"""VideoSource: the frames of a file, a picture or a folder of pictures, in order, upright, in 8-bit RGB."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sidestream.config import LIMITS, Limits
from sidestream.errors import SourceError
from sidestream.media.colour import Smaller, to_pixels, upright_size
from sidestream.media.decode import Feed
from sidestream.types import Frame

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

NEW_CLOCK_SECONDS = 0.5
"""A step back in time larger than this is taken for the start of a new clock, not for disorder."""


@dataclass(frozen=True)
class Span:
    """The part of a video that is asked for, in seconds from its beginning."""

    start: float = 0.0
    duration: float | None = None

    def ticks(self, feed: Feed) -> tuple[int, int | None]:
        """As pts: the first that belongs to it and the first that does not."""
        start = Fraction(str(self.start))
        begin = feed.origin + ceil(start / feed.time_base)
        if self.duration is None:
            return begin, None
        end = start + Fraction(str(self.duration))
        return begin, feed.origin + ceil(end / feed.time_base)

    def seconds_of(self, total: float | None) -> float | None:
        """What is left of a video of `total` seconds."""
        if total is None:
            return self.duration
        return min(max(0.0, total - self.start), self.duration or total)


class Clock:
    """Makes pts strictly increasing: fills missing ones, moves doubled ones, goes on where time was set back."""

    def __init__(self, feed: Feed) -> None:
        self.repairs = 0
        self._last: int | None = None
        self._shift = 0
        self._frame = max(1, round(1 / feed.rate / feed.time_base))
        self._origin = feed.origin
        self._new_clock = NEW_CLOCK_SECONDS / feed.time_base

    def tick(self, pts: int | None) -> int:
        if self._last is None:
            self._last = self._origin if pts is None else pts
            return self._last
        now = None if pts is None else pts + self._shift
        if now is None or now <= self._last:
            self.repairs += 1
            now = self._repair(self._last, now)
        self._last = now
        return now

    def _repair(self, last: int, now: int | None) -> int:
        if now is None:
            return last + self._frame
        if last - now < self._new_clock:
            return last + 1
        self._shift += last + self._frame - now
        return last + self._frame


class VideoSource:
    """A seams.Source. Owns the open file; holds one decoded frame, the first, to know size and readability."""

    def __init__(
        self,
        feed: Feed,
        name: str,
        span: Span = Span(),
        *,
        strict: bool = False,
        smaller: Smaller | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """`smaller` says how small its pictures may be handed out; width and height are those of the video all the same."""
        self.rate = feed.rate
        self.seconds = span.seconds_of(feed.seconds)
        self.warnings: list[str] = []
        self._feed, self._name, self._span = feed, name, span
        self._strict, self._smaller, self._limits = strict, smaller, limits
        self.width = self.height = 0
        self._reader = self._read()
        self._frames = chain((self._open(),), self._reader)

    @property
    def expected_frames(self) -> int | None:
        whole = self._span == Span()
        if whole and self._feed.count:
            return self._feed.count
        return None if self.seconds is None else max(1, round(self.seconds * self.rate))

    def __iter__(self) -> Iterator[Frame]:
        """Goes on where the last iteration stopped."""
        return self._frames

    def close(self) -> None:
        self._reader.close()
        self._feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> Frame:
        longest = self._limits.max_source_seconds
        if longest is not None and (self.seconds or 0) > longest:
            raise SourceError(
                f"{self._name} lasts {self.seconds:g} s, at most {longest:g} s are taken:"
                " choose a part with start and duration"
            )
        first = next(self._reader, None)
        if first is None and self._span.start:
            raise SourceError(
                f"{self._name} ends before {self._span.start:g} s: choose an earlier start"
            )
        if first is None:
            raise SourceError(
                f"no picture of {self._name} could be decoded: it is damaged, or has more than"
                f" {self._limits.max_source_pixels} pixels"
            )
        return first

    def _read(self) -> Generator[Frame]:
        from av.error import FFmpegError
        from av.video.reformatter import VideoReformatter

        feed, reformatter, clock = self._feed, VideoReformatter(), Clock(self._feed)
        begin, end = self._span.ticks(feed)
        index, cut = 0, False
        for picture in feed.pictures(begin):
            pts = clock.tick(picture.pts)
            if self._span.start and pts < begin:
                continue
            if cut := end is not None and pts >= end:
                break
            self._check(picture, float((pts - begin) * feed.time_base))
            try:
                pixels = to_pixels(picture, reformatter, feed.stretch, self._smaller)
            except FFmpegError as error:
                raise SourceError(
                    f"the colours of {self._name} cannot be converted: convert it to BT.709"
                ) from error
            if not index:
                size = upright_size(picture, feed.stretch)
                self.width, self.height = size.width, size.height
            yield Frame(pixels, pts, feed.time_base, index)
            index += 1
        self._judge(index, clock, whole=not (cut or self._span.start))

    def _check(self, picture: VideoFrame, seconds: float) -> None:
        """For every picture, because the size may change on the way."""
        limits, size = self._limits, f"{picture.width}x{picture.height}"
        if min(picture.width, picture.height) < limits.min_source_pixels:
            raise SourceError(
                f"{self._name} is {size} pixels, at least {limits.min_source_pixels} a side are needed"
            )
        if picture.width * picture.height * self._feed.stretch > limits.max_source_pixels:
            raise SourceError(
                f"{self._name} is {size} pixels, at most {limits.max_source_pixels} are taken: scale it down"
            )
        if limits.max_source_seconds is not None and seconds > limits.max_source_seconds:
            raise SourceError(
                f"{self._name} lasts longer than {limits.max_source_seconds:g} s: choose a part with duration"
            )

    def _judge(self, frames: int, clock: Clock, *, whole: bool) -> None:
        feed = self._feed
        if feed.failures:
            self.warnings.append(f"{_count(feed.failures, 'packet')} could not be decoded")
        if whole and feed.count and feed.packets < feed.count:
            self.warnings.append(f"the file ends early: {frames} of {feed.count} frames")
        if clock.repairs:
            self.warnings.append(f"{_count(clock.repairs, 'timestamp')} missing or out of order")
        if self._strict and self.warnings:
            raise SourceError(f"{self._name}: {'; '.join(self.warnings)}")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
