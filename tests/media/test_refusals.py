"""Outputs that are refused, disks that fill up, and what is left then."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sidestream.config import LIMITS, Size
from sidestream.errors import ConfigError, SinkError
from sidestream.media.movie import MovieWriter, Picture
from sidestream.media.open import open_source
from sidestream.media.sink import Output, VideoSink, open_sink
from sidestream.media.target import target
from sidestream.types import Frame

SIZE = Size(128, 96)
WHAT = {"size": SIZE, "rate": Fraction(24), "metadata": {}}


def refused(path, kind=SinkError, **options) -> str:
    with pytest.raises(kind) as caught:
        open_sink(path, **WHAT, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def frames(picture, styled):
    return [styled(Frame(picture(i), i, Fraction(1, 24), i)) for i in range(48)]


def test_an_unknown_ending(tmp_path):
    assert "unknown ending .xyz" in refused(tmp_path / "out.xyz", ConfigError)


def test_a_folder_that_is_not_there(tmp_path):
    assert "create it first" in refused(tmp_path / "absent" / "out.mp4")


@pytest.mark.parametrize("name", ["/proc/out.mp4", "/proc/out/"])
def test_a_folder_that_cannot_be_written(name):
    assert "cannot write to /proc" in refused(name)


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png"])
def test_an_output_that_exists(tmp_path, name):
    (tmp_path / name).write_text("precious")
    assert "exists" in refused(tmp_path / name)
    assert (tmp_path / name).read_text() == "precious"


def test_a_folder_that_holds_something(tmp_path):
    (tmp_path / "out").mkdir()
    open_sink(tmp_path / "out", **WHAT).discard()
    (tmp_path / "out" / "precious.txt").touch()
    assert "exists" in refused(tmp_path / "out")


def test_a_file_where_a_folder_is_asked_for(tmp_path):
    (tmp_path / "out").touch()
    assert "is a file" in refused(f"{tmp_path}/out/", overwrite=True)


@pytest.mark.parametrize("how", ["itself", "symlink", "hardlink"])
def test_the_input_is_never_the_output(make, how):
    clip, out = make.video(), make.folder / "out.mp4"
    if how == "symlink":
        out.symlink_to(clip)
    elif how == "hardlink":
        out.hardlink_to(clip)
    output = clip if how == "itself" else out
    before = clip.read_bytes()
    assert "would replace the input" in refused(
        output, ConfigError, source_path=clip, overwrite=True
    )
    assert clip.read_bytes() == before


def test_pictures_are_not_written_where_they_are_read(tmp_path):
    for source in (tmp_path, tmp_path / "%06d.png"):
        message = refused(f"{tmp_path}/", ConfigError, source_path=source, overwrite=True)
        assert "would replace the input" in message


def test_faststart_is_for_movies_with_an_index(tmp_path):
    assert "faststart" in refused(tmp_path / "out.mkv", ConfigError, faststart=True)


def test_a_second_frame_for_a_picture(tmp_path, frames):
    with (
        pytest.raises(SinkError, match="holds one frame"),
        open_sink(tmp_path / "out.png", **WHAT) as sink,
    ):
        for styled in frames:
            sink.write(styled)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out/", "out.png"])
def test_no_frames_no_file(tmp_path, name):
    with open_sink(f"{tmp_path}/{name}", **WHAT):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.gif", "out/"])
@pytest.mark.parametrize("keep", [False, True])
def test_an_error_keeps_what_there_is_only_when_asked(tmp_path, frames, name, keep):
    with (
        pytest.raises(ZeroDivisionError),
        open_sink(f"{tmp_path}/{name}", **WHAT, keep=keep) as sink,
    ):
        for styled in frames[:5]:
            sink.write(styled)
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ([name.rstrip("/")] if keep else [])
    if keep:
        with open_source(f"{tmp_path}/{name}", strict=True) as source:
            assert len(list(source)) == 5


def test_closing_twice_is_closing_once(tmp_path, frames):
    sink = open_sink(tmp_path / "out.mp4", **WHAT)
    sink.write(frames[0])
    sink.close()
    sink.close()
    sink.discard()
    assert (tmp_path / "out.mp4").exists()


def test_an_output_that_came_to_exist_meanwhile(tmp_path, frames):
    with (
        pytest.raises(SinkError, match="meanwhile"),
        open_sink(tmp_path / "out.mp4", **WHAT) as sink,
    ):
        sink.write(frames[0])
        (tmp_path / "out.mp4").write_text("precious")
    assert (tmp_path / "out.mp4").read_text() == "precious"
    with open_source(tmp_path / "out.part.mp4") as source:
        assert len(list(source)) == 1


def test_a_full_disk_is_noticed_before(tmp_path):
    limits = replace(LIMITS, min_free_bytes=10**18)
    assert "MB free: make room" in refused(tmp_path / "out.mp4", limits=limits)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_ends_the_file_in_time(tmp_path, frames):
    part = target(tmp_path / "out.mp4").begin()
    room = iter([*[10**9] * 30, 0])
    writer = MovieWriter(part.path, Picture(SIZE, Fraction(24), 18), {}, None)
    sink = VideoSink(part, writer, Output(size=SIZE, metadata={}), lambda folder: next(room))
    with pytest.raises(SinkError, match="nearly full: the 30 frames"), sink:
        for styled in frames:
            sink.write(styled)
    with open_source(tmp_path / "out.mp4", strict=True) as source:
        assert len(list(source)) == 30


LIMITED = """
import resource, sys
from fractions import Fraction
import numpy as np
from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.media.sink import open_sink
from sidestream.types import Controls, Frame, Plan, Styled

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
random, size = np.random.default_rng(0), Size(128, 96)
try:
    with open_sink(sys.argv[1], size=size, rate=Fraction(24), metadata={}) as sink:
        for i in range(600):
            frame = Frame(random.integers(0, 255, (96, 128, 3), np.uint8), i, Fraction(1, 24), i)
            sink.write(Styled(frame, frame, Plan(1, size, "per_frame", "none", 0), Controls(prompt="x")))
except SinkError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm", "out.gif"])
def test_a_write_that_fails_leaves_what_is_whole(tmp_path, name):
    """A limit on the size of a file fails the same way as a disk without room."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "could not be written (File too large)" in done.stdout
    part = tmp_path / name.replace(".", ".part.")
    assert [path.name for path in tmp_path.iterdir()] == [part.name] and part.name in done.stdout
    with open_source(part) as source:
        assert len(list(source)) >= 8


def test_a_first_frame_that_cannot_be_written(tmp_path, frames):
    sink = open_sink(tmp_path / "out.png", **WHAT)
    (tmp_path / "out.part.png").unlink()
    (tmp_path / "out.part.png").mkdir()
    with pytest.raises(SinkError, match="could not be written"):
        sink.write(frames[0])


def test_a_disk_that_is_full_at_once(tmp_path, frames):
    sink = open_sink(tmp_path / "out.mkv", **WHAT)
    (tmp_path / "out.part.mkv").unlink()
    (tmp_path / "out.part.mkv").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="No space left on device"), sink:
        for styled in frames:
            sink.write(styled)
    assert not (tmp_path / "out.mkv").exists()


def test_few_frames_are_held_while_writing(tmp_path, styled):
    frame = Frame(np.zeros((256, 256, 3), np.uint8), 0, Fraction(1, 24), 0)
    with open_sink(tmp_path / "out.mp4", **{**WHAT, "size": Size(256, 256)}) as sink:
        tracemalloc.start()
        for index in range(60):
            sink.write(styled(replace(frame, pts=index, pixels=frame.pixels + np.uint8(index))))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 6 * 256 * 256 * 3
