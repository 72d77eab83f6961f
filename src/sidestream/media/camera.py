"""Cameras, by OpenCV: PyAV's FFmpeg has no way to them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sidestream.config import LIMITS
from sidestream.errors import SourceError
from sidestream.media.capture import frame_at
from sidestream.types import Frame


class Device(Protocol):
    """A camera as OpenCV has it."""

    def isOpened(self) -> bool: ...

    def read(self) -> tuple[bool, Any]: ...

    def get(self, propId: int) -> float: ...

    def release(self) -> None: ...


def open_device(name: str) -> Device:
    """A camera by its number or path."""
    import cv2

    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        device = cv2.VideoCapture(int(name) if name.isdigit() else name, _backend())
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    finally:
        cv2.utils.logging.setLogLevel(before)
    return device


class CameraCapture:
    """A Capture of a camera. A frame's time is when it was handed over."""

    def __init__(
        self,
        name: str = "",
        *,
        device: Callable[[str], Device] = open_device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._clock = name or "0", clock
        self._device = device(self._name)
        if not self._device.isOpened():
            self._device.release()
            raise SourceError(f"there is no camera {self._name}, or it is busy: {_known()}")

    has_sound = False

    @property
    def rate(self) -> Fraction:
        import cv2

        rate = self._device.get(cv2.CAP_PROP_FPS)
        return Fraction(rate).limit_denominator(1001) if 1 <= rate <= 240 else Fraction(30)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            there, picture = self._device.read()
            if not there:
                raise SourceError(f"camera {self._name} gives no more pictures: is it plugged in?")
            pixels = np.ascontiguousarray(picture[..., ::-1])
            if min(pixels.shape[:2]) < LIMITS.min_source_pixels:
                raise SourceError(f"camera {self._name} gives pictures too small: choose another")
            yield frame_at(pixels, self._clock(), index)
            index += 1

    def close(self) -> None:
        self._device.release()


def _backend() -> int:
    """FFmpeg is not asked: it would take any name for that of a file or an address."""
    import cv2

    return cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY


def _known() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"there are {', '.join(found)}" if found else "this machine shows none"
