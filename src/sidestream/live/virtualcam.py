"""A virtual camera, which video calls see as a webcam: by pyvirtualcam, an extra."""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.types import Frame


class VirtualCamera:
    """An outlet.LiveSink. `device` is its path or name; empty takes the first one there is."""

    def __init__(self, device: str, size: Size, rate: Fraction, library: Any = None) -> None:
        """`library` stands in for pyvirtualcam."""
        try:
            self._camera = (library or _library()).Camera(
                width=size.width, height=size.height, fps=float(rate), device=device or None
            )
        except (RuntimeError, ValueError) as error:
            raise SinkError(
                f"there is no virtual camera ({str(error).splitlines()[0][:120]}): load v4l2loopback on Linux,"
                " or install OBS elsewhere"
            ) from error

    @staticmethod
    def check() -> None:
        if find_spec("pyvirtualcam") is None:
            raise SinkError(
                "a virtual camera needs pyvirtualcam: pip install 'sidestream[virtualcam]'"
            )

    def show(self, frame: Frame) -> None:
        self._camera.send(frame.pixels)

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        """A camera has no sound."""

    def close(self) -> None:
        self._camera.close()


def _library() -> Any:
    VirtualCamera.check()
    return import_module("pyvirtualcam")
