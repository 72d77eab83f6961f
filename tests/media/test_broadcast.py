"""Shows into files and to servers, read back by FFmpeg's own means."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from peers import Receiver, free_port
from sidestream.config import Limits, Size
from sidestream.errors import ConfigError, SinkError
from sidestream.media.address import sink_address
from sidestream.media.broadcast import Broadcast, LiveMovie, check_movie, open_movie, open_push
from sidestream.media.capture import MICROSECOND, SOUND_RATE
from sidestream.media.movie import Picture
from sidestream.media.open import open_source
from sidestream.types import Frame

RATE = Fraction(25)
SHOW = Broadcast(Picture(Size(96, 64), RATE, 18), 1 / RATE, sound=True)


def frame(number: int, level: int = 90, time_base: Fraction = 1 / RATE) -> Frame:
    return Frame(np.full((64, 96, 3), level, np.uint8), number, time_base, number)


def tone(seconds: float) -> np.ndarray:
    samples = np.arange(round(seconds * SOUND_RATE)) * 440 * 2 * np.pi / SOUND_RATE
    return np.stack([0.5 * np.sin(samples).astype(np.float32)] * 2)


def play(movie: LiveMovie, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        movie.add(frame(number).pixels, frame(number))
        movie.hear(tone(1 / 25), number / 25)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_a_file_has_pictures_and_sound_from_0_on(tmp_path: Path, name: str):
    sink, movie = open_movie(tmp_path / name, SHOW, metadata={"prompt": "ink"})
    for number in range(100, 150):  # the show had begun before
        sink.add(frame(number).pixels, frame(number))
        movie.hear(tone(1 / 25), number / 25)
    sink.close()
    with open_source(tmp_path / name) as source:
        frames = list(source)
        assert [f.seconds for f in frames] == pytest.approx([n / 25 for n in range(50)], abs=2e-3)
    with av.open(str(tmp_path / name)) as container:
        assert "ink" in str(dict(container.metadata))
        heard = list(container.decode(audio=0))
        assert sum(one.samples for one in heard) / SOUND_RATE == pytest.approx(2.0, abs=0.05)
        assert max(np.abs(one.to_ndarray()).max() for one in heard) > 0.3


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path):
    sink, movie = open_movie(tmp_path / "out.mp4", SHOW, metadata={})
    movie.hear(tone(1.0), 3.0)
    sink.add(frame(100).pixels, frame(100))
    movie.hear(tone(1.0), 3.5)  # half of it lies before
    sink.add(frame(112).pixels, frame(112))
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = sum(one.samples for one in container.decode(audio=0))
    assert heard / SOUND_RATE == pytest.approx(0.5, abs=0.05)


def test_capture_times_are_kept_to_the_microsecond(tmp_path: Path):
    show = Broadcast(Picture(Size(96, 64), RATE, 8), MICROSECOND, sound=False)
    times = [0, 40_123, 79_999, 300_001, 300_001, 340_000]
    sink, _ = open_movie(
        tmp_path / "take.mp4", show, metadata={}, options={"preset": "ultrafast", "bf": "0"}
    )
    for time in times:
        sink.add(frame(time).pixels, frame(time, time_base=MICROSECOND))
    sink.close()
    with open_source(tmp_path / "take.mp4") as source:
        found = [round(f.seconds * 1e6) for f in source]
    assert found == [0, 40_123, 79_999, 300_001, 300_002, 340_000]


def test_a_sink_without_a_picture_leaves_no_file(tmp_path: Path):
    sink, movie = open_movie(tmp_path / "out.mp4", SHOW, metadata={})
    movie.hear(tone(1.0), 0.0)
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_one_picture_whose_sound_never_came(tmp_path: Path):
    sink, _ = open_movie(tmp_path / "out.mp4", SHOW, metadata={})
    sink.add(frame(0).pixels, frame(0))
    sink.close()
    with open_source(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 1


def test_what_live_video_cannot_go_into(tmp_path: Path):
    for name in ("out.gif", "out.webm", "frames/", "out"):
        with pytest.raises(ConfigError, match=r"live video goes into \.mp4, \.mov, \.mkv"):
            check_movie(name)


def test_a_disk_with_too_little_room(tmp_path: Path):
    with pytest.raises(SinkError, match="make room"):
        open_movie(tmp_path / "out.mp4", SHOW, metadata={}, limits=Limits(min_free_bytes=2**62))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_gets_pictures_and_sound(scheme: str):
    receiver = Receiver(scheme, free_port())
    movie = patient(receiver.url)
    play(movie, 60)
    movie.close()
    receiver.join()
    assert len(receiver.levels) >= 55
    assert abs(np.median(receiver.levels) - 90) < 12
    assert receiver.sizes == {(96, 64)}
    assert receiver.samples / SOUND_RATE == pytest.approx(60 / 25, abs=0.3)
    assert receiver.loudest > 0.3


def patient(url: str) -> LiveMovie:
    """The server begins to listen in a thread: it may take a moment."""
    for _ in range(200):
        try:
            return open_push(sink_address(url), SHOW)
        except SinkError:
            pass
    raise AssertionError("the server did not begin to listen")


def test_a_server_that_is_not_there():
    url = f"rtmp://me:hunter2@127.0.0.1:{free_port()}/live/hunter2"
    with pytest.raises(SinkError) as refused:
        open_push(sink_address(url), SHOW)
    assert "takes nothing (Connection refused): is its server running?" in str(refused.value)
    assert "hunter2" not in str(refused.value)
