"""Small media made on the spot: every test writes what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from sidestream.config import Size
from sidestream.types import Controls, Frame, Pixels, Plan, Styled

RATE = 24
TEXTURE = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)


def picture(index: int, width: int = 128, height: int = 96) -> Pixels:
    """A smooth texture that moves three pixels a frame."""
    smooth = cv2.resize(TEXTURE, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.roll(smooth, 3 * index, axis=1)


def flat(colour: Sequence[int], width: int = 128, height: int = 96) -> Pixels:
    return np.full((height, width, len(colour)), colour, np.uint8)


@dataclass(frozen=True)
class Maker:
    """Writes media into a folder with the library's own calls, not with ours."""

    folder: Path

    def video(
        self,
        name: str = "clip.mp4",
        pictures: Sequence[Pixels] | int = 24,
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        times: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, RATE),
        size: tuple[int, int] = (128, 96),
        sound: str | None = None,
        sound_rate: int = 48_000,
        sound_seconds: float | None = None,
        rotation: int = 0,
        options: dict[str, str] | None = None,
        container: dict[str, str] | None = None,
        change: Callable[[VideoFrame], VideoFrame] = lambda frame: frame,
        setup: Callable[[av.VideoStream], None] = lambda stream: None,
    ) -> Path:
        path = self.folder / name
        shown = (
            [picture(i, *size) for i in range(pictures)] if isinstance(pictures, int) else pictures
        )
        with av.open(str(path), "w", container_options=container or {}) as output:
            height, width = shown[0].shape[:2]
            stream = output.add_stream(codec, rate=RATE, width=width, height=height)
            stream.pix_fmt = pix_fmt
            stream.options = options or {}
            stream.codec_context.time_base = time_base
            setup(stream)
            if rotation:
                stream.set_display_rotation(rotation)
            heard = output.add_stream(sound, rate=sound_rate) if sound else None
            for index, pixels in enumerate(shown):
                form = "rgba" if pixels.shape[-1] == 4 else "rgb24"
                frame = change(VideoFrame.from_ndarray(pixels, format=form))
                frame.pts = times[index] if times else round(index / RATE / time_base)
                frame.time_base = time_base
                output.mux(stream.encode(frame))
            if heard:
                _tone(output, heard, sound_seconds or len(shown) / RATE, sound_rate)
            output.mux(stream.encode())
        return path

    def erase(self, path: Path, packets: Iterable[int]) -> None:
        """Overwrites packets with zeros."""
        with av.open(str(path)) as container:
            found = [bytes(packet) for packet in container.demux() if packet.size]
        data = path.read_bytes()
        for number in packets:
            data = data.replace(found[number], bytes(len(found[number])))
        path.write_bytes(data)


def _tone(output, stream, seconds: float, rate: int) -> None:
    """A second-long ramp in loudness, over and over, so that a shift in time can be measured."""
    samples = np.arange(int(seconds * rate))
    wave = (np.sin(samples * 440 * 2 * np.pi / rate) * (samples % rate / rate)).astype(np.float32)
    for begin in range(0, len(wave), 1024):
        frame = AudioFrame.from_ndarray(
            np.stack([wave[begin : begin + 1024]] * 2), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def styled(frame: Frame, pixels: Pixels | None = None) -> Styled:
    """A restyled frame; without pixels the input itself."""
    height, width = frame.pixels.shape[:2]
    plan = Plan(1, Size(width, height), "per_frame", "none", 0)
    shown = Frame(
        frame.pixels if pixels is None else pixels, frame.pts, frame.time_base, frame.index
    )
    return Styled(shown, frame, plan, Controls(prompt="as it is"))


@pytest.fixture(name="styled")
def styled_fixture() -> Callable[..., Styled]:
    return styled


@pytest.fixture(name="flat")
def flat_fixture() -> Callable[..., Pixels]:
    return flat


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[..., Pixels]:
    return picture
