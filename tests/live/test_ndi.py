"""NDI, with a library that the test plays; and with the real one and its receiver, where that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.live.ndi import PIECE, Library, Ndi
from sidestream.types import Frame

PIXELS = np.full((48, 64, 3), (200, 40, 60), np.uint8)


class Settings:
    """Of pictures or sound: notes what it is told."""

    def __init__(self) -> None:
        self.told: dict[str, object] = {}

    def __getattr__(self, name: str):
        return lambda *values: self.told.update({name: values})


class Sender:
    made: Sender

    def __init__(self, name: str, **how: bool) -> None:
        Sender.made = self
        self.name, self.frames, self.pictures, self.sounds = name, [], [], []
        self.open_now = False

    def set_video_frame(self, frame: Settings) -> None:
        self.frames.append(frame)

    set_audio_frame = set_video_frame

    def open(self) -> None:
        if self.name == "broken":
            raise RuntimeError("no network")
        self.open_now = True

    def write_video(self, data: np.ndarray) -> None:
        self.pictures.append(data.copy())

    def write_audio(self, data: np.ndarray) -> None:
        self.sounds.append(data.shape)

    def close(self) -> None:
        self.open_now = False


LIBRARY = Library(Sender, Settings, Settings, "RGBX")


def sink(name: str = "", *, sound: bool = True) -> Ndi:
    return Ndi(name, Size(64, 48), Fraction(30), sound=sound, library=LIBRARY)


def test_pictures_and_sound_are_sent():
    opened = sink()
    opened.show(Frame(PIXELS, 0, Fraction(1), 0))
    opened.hear(np.zeros((2, PIECE + 100), np.float32), 0.0)
    made = Sender.made
    assert made.name == "sidestream" and made.open_now
    assert made.frames[0].told == {
        "set_resolution": (64, 48),
        "set_frame_rate": (Fraction(30),),
        "set_fourcc": ("RGBX",),
    }
    assert made.frames[1].told == {"set_max_num_samples": (PIECE,)}
    [picture] = made.pictures
    assert (picture.reshape(48, 64, 4) == (200, 40, 60, 255)).all()
    assert made.sounds == [(2, PIECE), (2, 100)]
    opened.close()
    assert not made.open_now


def test_without_sound_none_is_sent():
    opened = sink("stage", sound=False)
    opened.hear(np.zeros((2, 100), np.float32), 0.0)
    assert Sender.made.name == "stage" and len(Sender.made.frames) == 1
    assert Sender.made.sounds == []


def test_a_sender_that_does_not_open():
    with pytest.raises(SinkError, match=r"^NDI cannot be sent from here \(no network\)$"):
        sink("broken")


def test_the_library_is_an_extra(monkeypatch):
    monkeypatch.setattr("sidestream.live.ndi.find_spec", lambda name: None)
    with pytest.raises(SinkError, match=r"^NDI needs cyndilib: pip install 'sidestream\[ndi\]'$"):
        Ndi("", Size(64, 48), Fraction(30), sound=True)


def test_what_is_used_of_the_library_is_found_by_name(monkeypatch):
    modules = {
        "sender": SimpleNamespace(Sender=Sender),
        "video_frame": SimpleNamespace(VideoSendFrame=Settings),
        "audio_frame": SimpleNamespace(AudioSendFrame=Settings),
        "wrapper.ndi_structs": SimpleNamespace(FourCC=SimpleNamespace(RGBX="RGBX")),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"cyndilib.{name}", module)
    monkeypatch.setattr("sidestream.live.ndi.find_spec", lambda name: "found")
    assert Library.load() == LIBRARY


RECEIVE = """
import time
from fractions import Fraction
import numpy as np
from cyndilib.finder import Finder
from cyndilib.receiver import Receiver, ReceiveFrameType
from cyndilib.video_frame import VideoRecvFrame
from cyndilib.wrapper.ndi_recv import RecvBandwidth, RecvColorFormat
from sidestream.config import Size
from sidestream.live.ndi import Ndi
from sidestream.types import Frame
pixels = np.full((192, 320, 3), (200, 40, 60), np.uint8)
sink = Ndi("a-test", Size(320, 192), Fraction(30), sound=True)
finder, receiver, frame = Finder(), None, VideoRecvFrame()
finder.open()
for number in range(300):
    sink.show(Frame(pixels, number, Fraction(1, 30), number))
    sink.hear(np.zeros((2, 1600), np.float32), number / 30)
    names = finder.get_source_names()
    if receiver is None and names:
        receiver = Receiver(color_format=RecvColorFormat.RGBX_RGBA, bandwidth=RecvBandwidth.highest)
        receiver.set_video_frame(frame)
        receiver.connect_to(finder.get_source(names[0]))
    if receiver is not None and receiver.receive(ReceiveFrameType.recv_video, 50):
        if frame.get_resolution() == (320, 192):
            data = np.zeros(frame.get_buffer_size(), np.uint8)
            frame.fill_p_data(data)
            print(*data[:3])
            break
    time.sleep(0.03)
sink.close()
"""


@pytest.mark.skipif(find_spec("cyndilib") is None, reason="needs: pip install 'sidestream[ndi]'")
def test_the_real_library_sends_what_its_receiver_gets(tmp_path: Path):
    where = {"ndi": {"networks": {"ips": "127.0.0.1,"}}}  # found without mDNS
    (tmp_path / "ndi-config.v1.json").write_text(json.dumps(where))
    environment = {"NDI_CONFIG_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RECEIVE],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    found = [int(level) for level in done.stdout.split()]
    assert found == pytest.approx([200, 40, 60], abs=8), done.stderr
