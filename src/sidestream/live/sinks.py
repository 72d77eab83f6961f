"""Live sinks by their address: which class gives what out, and where the others are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SinkError
from sidestream.live.ndi import Ndi
from sidestream.live.outlet import LiveSink, Outlet
from sidestream.live.page import PageSink
from sidestream.live.virtualcam import VirtualCamera
from sidestream.media.address import Address
from sidestream.media.broadcast import Broadcast, LiveMovie, check_movie, open_movie, open_push
from sidestream.media.movie import Picture
from sidestream.media.sink import VideoSink
from sidestream.media.target import target
from sidestream.types import Frame

FILE_CRF, PUSH_CRF = 18, 23


@dataclass(frozen=True, kw_only=True)
class Out:
    """What every sink of a show has in common."""

    size: Size
    rate: Fraction
    sound: bool
    metadata: Mapping[str, str]
    overwrite: bool = False

    def broadcast(self, crf: int) -> Broadcast:
        return Broadcast(Picture(self.size, self.rate, crf), 1 / self.rate, self.sound)


class MovieSink:
    """A LiveSink that is a file: whole after a crash, under its name when it is done."""

    def __init__(self, sink: VideoSink, movie: LiveMovie) -> None:
        self._sink, self._movie = sink, movie

    def show(self, frame: Frame) -> None:
        self._sink.add(frame.pixels, frame)

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        with self._sink.disk():
            self._movie.hear(samples, seconds)

    def close(self) -> None:
        self._sink.close()


class PushSink:
    """A LiveSink that is a server. What breaks is a SinkError without the address, which may hold a key."""

    def __init__(self, movie: LiveMovie, address: Address) -> None:
        self._movie, self._address = movie, address
        self._broken = False

    def show(self, frame: Frame) -> None:
        self._try(lambda: self._movie.add(frame.pixels, frame))

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        self._try(lambda: self._movie.hear(samples, seconds))

    def close(self) -> None:
        with suppress(SinkError):  # what was broken cannot be finished
            self._try(self._movie.close)

    def _try(self, step: Callable[[], None]) -> None:
        from av.error import FFmpegError

        try:
            step()
        except (FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SinkError(f"{self._address} broke off ({reason})") from None


class NoSink:
    """A LiveSink for rehearsals, and for takes alone."""

    def show(self, frame: Frame) -> None:
        pass

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


def check_sink(address: Address, *, overwrite: bool) -> None:
    """Refuses what can be seen to fail before anything is loaded."""
    if address.kind == "file":
        check_movie(address.value)
        target(address.value, overwrite=overwrite)
    elif address.kind == "virtualcam":
        VirtualCamera.check()
    elif address.kind == "ndi":
        Ndi.check()


def outlet(address: Address, out: Out, limits: ShowLimits = SHOW_LIMITS) -> Outlet:
    """The lane of a sink; those that can come back do."""
    returns = address.kind in ("push", "virtualcam", "ndi")
    return Outlet(
        str(address),
        lambda: _open(address, out, limits),
        returns=returns,
        restyled_first=address.kind == "file",
        limits=limits,
    )


def _open(address: Address, out: Out, limits: ShowLimits) -> LiveSink:
    match address.kind:
        case "file":
            broadcast = out.broadcast(FILE_CRF)
            return MovieSink(
                *open_movie(
                    address.value, broadcast, metadata=out.metadata, overwrite=out.overwrite
                )
            )
        case "push":
            return PushSink(open_push(address, out.broadcast(PUSH_CRF)), address)
        case "page":
            return PageSink(int(address.value), limits)
        case "virtualcam":
            return VirtualCamera(address.value, out.size, out.rate)
        case "ndi":
            return Ndi(address.value, out.size, out.rate, sound=out.sound)
        case _:
            return NoSink()
