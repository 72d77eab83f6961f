"""Small video files for tests, written with the library's own calls and not with ours."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from pictures import sliding
from sidestream.types import Pixels

RATE = 24


def write_clip(
    path: Path, pictures: Sequence[Pixels] | int = 12, *, faststart: bool = False
) -> Path:
    """A video of a texture that slides, or of the pictures given."""
    shown = sliding(pictures) if isinstance(pictures, int) else pictures
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", container_options=options) as output:
        height, width = shown[0].shape[:2]
        stream = output.add_stream("libx264", rate=RATE, width=width, height=height)
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "10", "preset": "ultrafast"}
        for index, pixels in enumerate(shown):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48_000)
        silence = AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        silence.sample_rate = 48_000
        output.mux(stream.encode(silence))
        output.mux(stream.encode())
    return path
