"""A virtual camera, with a library that the test plays."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.live.virtualcam import VirtualCamera
from sidestream.types import Frame

PIXELS = np.zeros((48, 64, 3), np.uint8)


class Camera:
    def __init__(self, **how) -> None:
        self.how, self.sent, self.closed = how, [], False
        if how["device"] == "busy":
            raise RuntimeError("device is busy\nmore of it")

    def send(self, pixels) -> None:
        self.sent.append(pixels)

    def close(self) -> None:
        self.closed = True


LIBRARY = SimpleNamespace(Camera=Camera)


def test_pictures_go_to_the_device():
    sink = VirtualCamera("/dev/video9", Size(64, 48), Fraction(30), LIBRARY)
    sink.show(Frame(PIXELS, 0, Fraction(1), 0))
    sink.hear(np.zeros((2, 1), np.float32), 0.0)
    sink.close()
    camera = sink._camera
    assert camera.how == {"width": 64, "height": 48, "fps": 30.0, "device": "/dev/video9"}
    assert camera.sent[0] is PIXELS and camera.closed


def test_a_device_that_is_not_there():
    with pytest.raises(SinkError, match=r"^there is no virtual camera \(device is busy\): load"):
        VirtualCamera("busy", Size(64, 48), Fraction(30), LIBRARY)


def test_the_library_is_an_extra(monkeypatch):
    monkeypatch.setattr("sidestream.live.virtualcam.find_spec", lambda name: None)
    with pytest.raises(SinkError, match=r"pip install 'sidestream\[virtualcam\]'"):
        VirtualCamera("", Size(64, 48), Fraction(30))
