"""What is refused, and the sentence that says so."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sidestream.config import LIMITS
from sidestream.errors import ConfigError, SourceError
from sidestream.media.open import open_source


def refused(path: Path | str, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(path, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250 + len(str(path))
    return str(caught.value)


def test_no_such_file(tmp_path):
    assert "there is no file" in refused(tmp_path / "absent.mp4")


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "has no pictures" in refused(tmp_path)


def test_a_pattern_that_fits_nothing(tmp_path):
    assert "has no pictures" in refused(tmp_path / "img_%04d.png")
    assert "has no pictures" in refused(tmp_path / "absent" / "img_%04d.png")


def test_something_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "is not a file" in refused(tmp_path / "pipe.mp4")


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in refused(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["letter.txt", "letter.mp4"])
def test_a_text_file(tmp_path, name):
    (tmp_path / name).write_text("Dear reader,\n" * 200)
    assert "video" in refused(tmp_path / name)


def test_random_bytes(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(50_000))
    assert "cannot be read as a video" in refused(tmp_path / "noise.mp4")


def test_sound_only(tmp_path):
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.int16), format="s16")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    assert "has no video stream" in refused(path)


def test_the_cover_of_a_song_is_no_video(make, tmp_path):
    path = make.video("song.mp4", 1, codec="mjpeg", pix_fmt="yuvj420p", setup=_as_cover)
    assert "has no video stream" in refused(path)


def _as_cover(stream: av.VideoStream) -> None:
    from av.stream import Disposition

    stream.disposition = Disposition.attached_pic


def test_a_file_that_lost_its_index(make):
    path = make.video()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "is incomplete (no index)" in refused(path)


def test_a_video_without_frames(make):
    path = make.video(codec="ffv1", name="clip.mkv")
    data = path.read_bytes()
    first = data.index(b"\x1f\x43\xb6\x75")  # the first cluster
    path.write_bytes(data[:first])
    assert "ends before its first frame" in refused(path)


def test_a_video_of_which_nothing_can_be_decoded(make):
    path = make.video("clip.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    make.erase(path, range(24))
    assert "no picture of" in refused(path)


def test_too_small(make):
    path = make.video("small.mkv", 2, size=(64, 8))
    assert "64x8 pixels, at least 16 a side" in refused(path)


def test_too_many_pixels_by_the_header(make):
    limits = replace(LIMITS, max_source_pixels=10_000)
    assert "128x96 pixels, at most 10000" in refused(make.video(), limits=limits)


def test_too_many_pixels_once_they_are_square(make):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(3, 1)

    limits = replace(LIMITS, max_source_pixels=20_000)
    assert "128x96 pixels, at most 20000" in refused(make.video(setup=wide), limits=limits)


def test_too_many_pixels_on_the_way(make):
    path = make.video("first.ts", 24)
    path.write_bytes(path.read_bytes() + make.video("big.ts", 24, size=(640, 480)).read_bytes())
    with open_source(path, limits=replace(LIMITS, max_source_pixels=100_000)) as source:
        assert {frame.pixels.shape for frame in source} == {(96, 128, 3)}
    assert source.warnings


def test_a_huge_picture_is_never_decoded(make, tmp_path):
    path = make.video("bomb.png", 1, codec="png", pix_fmt="rgb24", size=(640, 480))
    assert "more than 10000 pixels" in refused(
        path, limits=replace(LIMITS, max_source_pixels=10_000)
    )


def test_too_long(make):
    limits = replace(LIMITS, max_source_seconds=0.5)
    assert "lasts 1 s, at most 0.5 s" in refused(make.video(), limits=limits)
    with open_source(make.video(), duration=0.4, limits=limits) as source:
        assert len(list(source)) == 10


def test_longer_than_it_says(make):
    path = make.video("clip.mkv", 24, container={"live": "1"})
    source = open_source(path, limits=replace(LIMITS, max_source_seconds=0.5))
    with source, pytest.raises(SourceError, match=r"lasts longer than 0\.5 s"):
        list(source)


def test_too_many_streams(make):
    path = make.video(sound="aac")
    assert "has 2 streams" in refused(path, limits=replace(LIMITS, max_streams_in_file=1))


def test_a_playlist_that_names_a_local_file(make, tmp_path):
    secret = make.video("secret.ts")
    lists = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "list.mp4": f"ffconcat version 1.0\nfile {secret.name}\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        assert "playlists and text are refused" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["file:clip.mp4", "concat:a.mp4|b.mp4", "http:clip.mp4", "-i.mp4"])
def test_the_name_of_a_protocol_is_only_a_name(make, monkeypatch, name):
    monkeypatch.chdir(make.folder)
    make.video().rename(make.folder / name)
    with open_source(name) as source:
        assert len(list(source)) == 24


@pytest.mark.parametrize("stem", ["日本語 ファイル 'q' é🎥", "new\nline", "100%05d", "x" * 251])
def test_unusual_names(make, stem):
    path = make.video().rename(make.folder / f"{stem}.mp4")
    with open_source(path) as source:
        assert len(list(source)) == 24


def test_a_start_after_the_end(make):
    assert "ends before 9 s" in refused(make.video(), start=9)
    picture = make.video("one.png", 1, codec="png", pix_fmt="rgb24")
    assert "ends before 9 s" in refused(picture, start=9)


@pytest.mark.parametrize("number", [-1.0, math.inf, -math.inf, math.nan, 1e300])
@pytest.mark.parametrize("name", ["start", "duration"])
def test_a_part_that_cannot_be(make, name, number):
    with pytest.raises(ConfigError, match="start must be 0 or more") as caught:
        open_source(make.video(), **{name: number})
    assert "\n" not in str(caught.value)


def test_a_start_beyond_all_timestamps(make):
    assert "ends before 1e+09 s" in refused(make.video(), start=1e9)
    with open_source(make.video(), duration=1e9) as source:
        assert len(list(source)) == 24


def test_an_unknown_codec(make):
    path = make.video("clip.mkv", codec="ffv1")
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"QQQQ"))
    assert "cannot be decoded" in refused(path)


def test_a_single_picture(make, flat):
    path = make.video("one.png", [flat((10, 200, 30))], codec="png", pix_fmt="rgb24")
    with open_source(path) as source:
        (frame,) = source
    assert (frame.pts, frame.index) == (0, 0) and tuple(frame.pixels[5, 5]) == (10, 200, 30)
    assert source.rate == Fraction(25)


def test_a_source_that_does_not_answer_in_time(make):
    limits = replace(LIMITS, open_timeout=1e-9)
    assert "did not answer in time" in refused(make.video(), limits=limits)


def test_a_source_that_stops_answering_ends_early_and_says_so(make):
    """Raw video, larger than what opening reads ahead."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 480, 640, 3), dtype=np.uint8)
    path = make.video("large.avi", list(noise), codec="rawvideo", pix_fmt="yuv420p")
    with open_source(path, limits=replace(LIMITS, read_timeout=1e-9)) as source:
        assert len(list(source)) < 40
        assert source.warnings
    with open_source(path) as source:
        assert len(list(source)) == 40
        assert not source.warnings
