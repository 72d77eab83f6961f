"""Animated GIF, with its own palette for every picture, so that no more than one is held."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.config import Size
from sidestream.types import Frame, Pixels

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

CENTISECOND = Fraction(1, 100)
"""GIF counts time in these."""
MIN_DELAY = 2
"""Browsers show anything shorter at a tenth of its speed, so that more than 50 frames a second play slower."""
SAMPLE = 160
"""Pixels a side that a palette is chosen from: all of them would take four times as long."""


class GifWriter:
    """Owns the container that is written, and the filters that choose palettes."""

    def __init__(self, path: Path, size: Size) -> None:
        import av

        self._container = av.open(str(path), "w", container_options={"flush_packets": "1"})
        self._video = self._container.add_stream(
            "gif", width=size.width, height=size.height, pix_fmt="pal8"
        )
        self._video.codec_context.time_base = CENTISECOND
        self._graph = _graph(size)
        self._first: Fraction | None = None
        self._last = -MIN_DELAY
        self.warnings: list[str] = []

    def add(self, pixels: Pixels, frame: Frame) -> None:
        from av.video.frame import VideoFrame

        time = frame.pts * frame.time_base
        if self._first is None:
            self._first = time
        picture = VideoFrame.from_ndarray(pixels)
        self._last = max(self._last + MIN_DELAY, round((time - self._first) / CENTISECOND))
        picture.pts, picture.time_base = self._last, CENTISECOND
        self._graph.vpush(picture)
        self._drain()

    def close(self) -> None:
        try:
            if self._first is not None:
                self._graph.vpush(None)
                self._drain()
                self._container.mux(self._video.encode())
        finally:
            self._container.close()

    def _drain(self) -> None:
        for picture in _pull(self._graph):
            self._container.mux(self._video.encode(picture))


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    from av.error import BlockingIOError as Empty
    from av.error import EOFError as Ended

    while True:
        try:
            picture = graph.vpull()
        except (Empty, Ended):
            return
        yield picture


def _graph(size: Size) -> Graph:
    """The dither is a pattern that stands still, where error diffusion would flicker."""
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    source = graph.add_buffer(
        width=size.width, height=size.height, format=VideoFormat("rgb24"), time_base=CENTISECOND
    )
    split = graph.add("split")
    sample = graph.add("scale", f"min(iw\\,{SAMPLE}):min(ih\\,{SAMPLE}):flags=neighbor")
    choose = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(sample, 1, 0)
    sample.link_to(choose)
    choose.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
