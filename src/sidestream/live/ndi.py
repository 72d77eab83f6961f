"""Video and sound over NDI, which programs on the same network find by its name: by cyndilib, an extra."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.media.capture import SOUND_RATE
from sidestream.types import Frame

NAME = "sidestream"
PIECE = 4800
"""Samples that are sent at once, at most."""


@dataclass(frozen=True)
class Library:
    """What is used of cyndilib."""

    sender: Any
    video: Any
    audio: Any
    rgbx: Any

    @classmethod
    def load(cls) -> Library:
        Ndi.check()
        return cls(
            import_module("cyndilib.sender").Sender,
            import_module("cyndilib.video_frame").VideoSendFrame,
            import_module("cyndilib.audio_frame").AudioSendFrame,
            import_module("cyndilib.wrapper.ndi_structs").FourCC.RGBX,
        )


class Ndi:
    """An outlet.LiveSink. Anybody on the network may watch: NDI knows no password."""

    def __init__(
        self, name: str, size: Size, rate: Fraction, *, sound: bool, library: Library | None = None
    ) -> None:
        """`library` stands in for cyndilib."""
        ndi = library or Library.load()
        self._sound = sound
        self._pixels = np.full((size.height, size.width, 4), 255, np.uint8)
        video, audio = ndi.video(), ndi.audio()
        video.set_resolution(size.width, size.height)
        video.set_frame_rate(rate)
        video.set_fourcc(ndi.rgbx)
        # Pictures come at a steady beat already: its own clock would hold them up.
        self._sender = ndi.sender(name or NAME, clock_video=False, clock_audio=False)
        self._sender.set_video_frame(video)
        if sound:
            audio.sample_rate, audio.num_channels = SOUND_RATE, 2
            audio.set_max_num_samples(PIECE)
            self._sender.set_audio_frame(audio)
        try:
            self._sender.open()
        except (RuntimeError, OSError) as error:
            raise SinkError(f"NDI cannot be sent from here ({str(error)[:120]})") from error

    @staticmethod
    def check() -> None:
        if find_spec("cyndilib") is None:
            raise SinkError("NDI needs cyndilib: pip install 'sidestream[ndi]'")

    def show(self, frame: Frame) -> None:
        self._pixels[..., :3] = frame.pixels
        self._sender.write_video(self._pixels.reshape(-1))

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        if self._sound:
            for begin in range(0, samples.shape[1], PIECE):
                self._sender.write_audio(np.ascontiguousarray(samples[:, begin : begin + PIECE]))

    def close(self) -> None:
        self._sender.close()
