"""Cameras, with a device that the test plays."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from sidestream.errors import SourceError
from sidestream.media.camera import CameraCapture


class Webcam:
    """A camera as OpenCV has it: blue, green and red, in that order."""

    def __init__(self, pictures: int, rate: float = 30.0, side: int = 64) -> None:
        self.left, self.rate, self.side = pictures, rate, side
        self.released = False

    def isOpened(self) -> bool:
        return self.left > 0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((self.side, self.side, 3), (10, 20, 30), np.uint8)

    def get(self, propId: int) -> float:
        return self.rate

    def release(self) -> None:
        self.released = True


def test_frames_have_the_time_of_their_capture_and_their_colours():
    webcam, clock = Webcam(10), iter(range(100, 200))
    capture = CameraCapture("0", device=lambda name: webcam, clock=lambda: next(clock))
    frames = list(islice(capture, 3))
    assert [frame.seconds for frame in frames] == [100, 101, 102]
    assert frames[0].pixels[0, 0].tolist() == [30, 20, 10]
    capture.close()
    assert webcam.released


@pytest.mark.parametrize(
    ("said", "rate"), [(30.0, 30), (0.0, 30), (-1.0, 30), (1e9, 30), (15.0, 15)]
)
def test_the_rate_that_a_camera_says(said: float, rate: int):
    assert CameraCapture(device=lambda name: Webcam(1, said)).rate == Fraction(rate)


def test_a_camera_that_is_unplugged():
    capture = CameraCapture("2", device=lambda name: Webcam(2))
    with closing(capture), pytest.raises(SourceError, match="camera 2 gives no more pictures"):
        list(capture)


def test_pictures_too_small():
    with pytest.raises(SourceError, match="too small"):
        list(CameraCapture(device=lambda name: Webcam(2, side=8)))


@pytest.mark.parametrize("name", ["63", "/dev/video63", "rtsp://127.0.0.1:1/x", "in.mp4"])
def test_there_is_no_such_camera(name: str, capfd):
    with pytest.raises(SourceError, match=r"there is no camera .*, or it is busy"):
        CameraCapture(name)
    assert capfd.readouterr().err == ""
