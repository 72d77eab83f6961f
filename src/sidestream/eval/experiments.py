"""All that is run to see how well a model restyles. What is wanted of it is in report.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sidestream.eval.bench import DRAWN, UNSEEN, Bench, Extent
from sidestream.eval.clips import Clip, with_cut
from sidestream.eval.stills import Still, autoencoder, following, unseen
from sidestream.eval.streams import CUTS, cuts, rows, speed, steadiness
from sidestream.types import Record


def run(bench: Bench, clips: Sequence[Clip]) -> Iterator[Record]:
    """Every measurement, clip by clip, as it is made."""
    moving = [clip for clip in clips if not clip.is_cut]
    around = bench.environment()
    for number, clip in enumerate(moving):
        for record in _of_clip(bench, clip, number):
            yield replace(record, clip=clip.name, environment=around)
    for clip in with_cut(clips):
        for record in cuts(bench, clip):
            yield replace(record, clip=clip.name, environment=around)
    yield replace(speed(bench, moving[0]), clip=moving[0].name, environment=around)


def expected_frames(extent: Extent, clips: Sequence[Clip]) -> int:
    """How many frames `run` has restyled, but for those that speed is measured on."""
    moving = [clip for clip in clips if not clip.is_cut]
    total = 0
    for number, clip in enumerate(moving):
        stills = len(DRAWN) * len(extent.steps) + 1 + len(UNSEEN)
        total += stills * len(clip.stills(extent.frames))
        streams = len(rows(extent)) * len(extent.styles(number))
        total += streams * sum(len(one.frames) for one in clip.windows(extent.frames))
    for clip in with_cut(clips):
        before, after = clip.around_cut()
        total += len(CUTS) * (len(before) + 2 * len(after))
    return total


def _of_clip(bench: Bench, clip: Clip, number: int) -> Iterator[Record]:
    stills = [Still.of(pixels) for pixels in clip.stills(bench.extent.frames)]
    yield autoencoder(bench, stills)
    yield from following(bench, stills, number)
    yield from unseen(bench, stills)
    for window in clip.windows(bench.extent.frames):
        yield from steadiness(bench, window, number)
