"""Nothing of anyone else's is written to, replaced or followed, whatever lies where the output goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from typing import ClassVar

import pytest

from sidestream.config import Size
from sidestream.errors import ConfigError, SinkError, SourceError
from sidestream.media.metadata import read_metadata
from sidestream.media.open import open_source
from sidestream.media.sink import Output, VideoSink, check_output, open_sink
from sidestream.media.target import rename_new, target
from sidestream.types import Frame

WHAT = {"size": Size(128, 96), "rate": Fraction(24), "metadata": {"seed": "1"}}
NAMES = ["out.mp4", "out.gif", "out.png", "out/"]


@pytest.fixture
def frame(picture, styled):
    return styled(Frame(picture(0), 0, Fraction(1, 24), 0))


def part_of(name: str) -> str:
    return "out.part" if name == "out/" else name.replace(".", ".part.")


@pytest.mark.parametrize("name", NAMES)
def test_a_part_that_is_a_link_is_not_written_through(tmp_path, frame, name):
    victim = tmp_path / "victim"
    victim.mkdir() if name == "out/" else victim.write_text("precious")
    (tmp_path / part_of(name)).symlink_to(victim)
    with open_sink(f"{tmp_path}/{name}", **WHAT, overwrite=True) as sink:
        sink.write(frame)
    assert not list(victim.iterdir()) if name == "out/" else victim.read_text() == "precious"
    assert (tmp_path / part_of(name)).is_symlink()
    assert read_metadata(tmp_path / name) == WHAT["metadata"]


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_file_that_is_named_like_a_part_stays(tmp_path, frame, name):
    (tmp_path / part_of(name)).write_text("precious")
    with open_sink(tmp_path / name, **WHAT) as sink:
        sink.write(frame)
        assert (tmp_path / name.replace(".", ".2.part.")).exists()
    assert (tmp_path / part_of(name)).read_text() == "precious"
    assert not list(tmp_path.glob("*.2.part*"))


def test_a_folder_that_is_named_like_a_part_stays(tmp_path, frame):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "000000.png").write_text("precious")
    with open_sink(f"{tmp_path}/out/", **WHAT) as sink:
        sink.write(frame)
    assert (tmp_path / "out.part" / "000000.png").read_text() == "precious"


def test_the_input_may_be_named_like_a_part(make, frame):
    clip = make.video().rename(make.folder / "out.part.mp4")
    before = clip.read_bytes()
    with open_sink(make.folder / "out.mp4", **WHAT, source_path=clip) as sink:
        sink.write(frame)
    assert clip.read_bytes() == before


KILLED = """
import os, signal, sys
from fractions import Fraction
from sidestream.config import Size
from sidestream.media.sink import open_sink

open_sink(sys.argv[1], size=Size(64, 64), rate=Fraction(24), metadata={})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_outlives_the_next(tmp_path, frame):
    out = tmp_path / "out.mp4"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = (tmp_path / "out.part.mp4").stat()
    with open_sink(out, **WHAT) as sink:
        sink.write(frame)
    assert (tmp_path / "out.part.mp4").stat().st_mtime_ns == left.st_mtime_ns


@pytest.mark.parametrize("name", ["out.mp4", "out.png", "out/"])
def test_of_two_runs_on_one_name_the_second_says_where_its_own_is(tmp_path, frame, name):
    one, two = open_sink(f"{tmp_path}/{name}", **WHAT), open_sink(f"{tmp_path}/{name}", **WHAT)
    one.write(frame)
    two.write(frame)
    one.close()
    second = part_of(name).replace(".part", ".2.part")
    with pytest.raises(SinkError, match=f"came to exist meanwhile.*{second}$"):
        two.close()
    with open_source(tmp_path / name) as whole, open_source(tmp_path / second) as other:
        assert len(list(whole)) == len(list(other)) == 1


def no_links(part, place):
    raise PermissionError


def test_where_there_are_no_links_nothing_is_replaced_either(tmp_path):
    part, place = tmp_path / "part", tmp_path / "place"
    part.write_text("new")
    rename_new(part, place, link=no_links)
    assert place.read_text() == "new" and not part.exists()
    part.write_text("newer")
    with pytest.raises(FileExistsError):
        rename_new(part, place, link=no_links)
    assert (place.read_text(), part.read_text()) == ("new", "newer")


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_became_a_link_is_not_written_through(tmp_path, frame, overwrite):
    (tmp_path / "victim").write_text("precious")
    sink = open_sink(tmp_path / "out.mp4", **WHAT, overwrite=overwrite)
    sink.write(frame)
    (tmp_path / "out.mp4").symlink_to("victim")
    if overwrite:
        sink.close()
    else:
        with pytest.raises(SinkError, match="meanwhile"):
            sink.close()
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "out.mp4").is_symlink() is not overwrite


def test_a_folder_that_is_or_became_a_link(tmp_path, frame):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "000000.png").write_text("precious")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(SinkError, match="a file or a link"):
        target(f"{tmp_path}/link/", overwrite=True)
    sink = open_sink(f"{tmp_path}/out/", **WHAT, overwrite=True)
    sink.write(frame)
    (tmp_path / "out").symlink_to("victim")
    with pytest.raises(SinkError, match=r"meanwhile.*out\.part$"):
        sink.close()
    assert (tmp_path / "victim" / "000000.png").read_text() == "precious"


def test_a_file_that_took_the_place_of_a_folder(tmp_path, frame):
    sink = open_sink(f"{tmp_path}/out/", **WHAT)
    sink.write(frame)
    (tmp_path / "out").write_text("precious")
    with pytest.raises(SinkError, match="meanwhile"):
        sink.close()
    assert (tmp_path / "out").read_text() == "precious"


def test_something_else_than_a_picture_in_the_way(tmp_path, frame):
    (tmp_path / "out" / "000000.png").mkdir(parents=True)
    sink = open_sink(f"{tmp_path}/out/", **WHAT, overwrite=True)
    sink.write(frame)
    with pytest.raises(SinkError, match=r"Is a directory.*out\.part$"):
        sink.close()


@pytest.mark.parametrize("name", NAMES[1:3])
def test_settings_that_exist_are_not_replaced(tmp_path, frame, name):
    (tmp_path / f"{name}.json").write_text("precious")
    with pytest.raises(SinkError, match="json exists"):
        open_sink(tmp_path / name, **WHAT)
    assert (tmp_path / f"{name}.json").read_text() == "precious"
    with open_sink(tmp_path / name, **WHAT, overwrite=True) as sink:
        sink.write(frame)
    assert read_metadata(tmp_path / name) == WHAT["metadata"]


@pytest.mark.parametrize("name", ["out.png.json", "out.png.part.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_settings_are_never_written_through_a_link(tmp_path, frame, name, overwrite):
    (tmp_path / "victim").write_text("precious")
    sink = open_sink(tmp_path / "out.png", **WHAT, overwrite=overwrite)
    sink.write(frame)
    (tmp_path / name).symlink_to("victim")
    if name == "out.png.json" and not overwrite:
        with pytest.raises(SinkError, match=r"meanwhile.*out\.png\.part\.json$"):
            sink.close()
    else:
        sink.close()
        assert read_metadata(tmp_path / "out.png") == WHAT["metadata"]
    assert (tmp_path / "victim").read_text() == "precious"


def test_settings_of_a_folder_are_not_written_through_a_link(tmp_path, frame):
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out" / "settings.json").symlink_to(tmp_path / "victim")
    with open_sink(f"{tmp_path}/out/", **WHAT, overwrite=True) as sink:
        sink.write(frame)
    assert (tmp_path / "victim").read_text() == "precious"
    assert read_metadata(tmp_path / "out") == WHAT["metadata"]


def test_moving_the_index_takes_no_name_of_others(tmp_path, frame):
    (tmp_path / "out.2.part.mp4").write_text("precious")
    with open_sink(tmp_path / "out.mp4", **WHAT, faststart=True) as sink:
        sink.write(frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.2.part.mp4", "out.mp4"]
    assert (tmp_path / "out.2.part.mp4").read_text() == "precious"


class Silent:
    """Writes nothing at all."""

    warnings: ClassVar[list[str]] = []

    def add(self, pixels, frame):
        pass

    def close(self):
        pass


def test_an_index_that_cannot_be_moved_leaves_the_movie(tmp_path, frame):
    part = target(tmp_path / "out.mp4").begin()
    output = Output(size=Size(128, 96), metadata={}, faststart=True)
    sink = VideoSink(part, Silent(), output, lambda folder: 10**9)
    sink.write(frame)
    with pytest.raises(SourceError, match=r"out\.part\.mp4 is empty"):
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.part.mp4"]


@pytest.mark.parametrize(
    "name",
    ["x" * 300 + ".mp4", "a\0b.mp4", "\udfff\ud800.mp4", "x" * 251 + ".png", "y" * 300 + "/"],
)
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(SinkError, match="cannot be the name of a file") as caught:
        open_sink(f"{tmp_path}/{name}", **WHAT)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_too_long_for_its_part(tmp_path):
    folder = tmp_path
    while len(str(folder)) < 3800:
        folder /= "d" * 200
    folder.mkdir(parents=True)
    room = 4095 - len(str(folder)) - 1
    name = "x" * min(room - 4, 200) + ".mp4"
    deep = folder / ("e" * (room - len(name) - 1)) if room > len(name) + 1 else folder
    deep.mkdir(exist_ok=True)
    with pytest.raises(SinkError, match=r"cannot write to .*too long"):
        open_sink(deep / name, **WHAT)


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4", "z" * 300])
def test_inputs_that_no_file_can_be(tmp_path, name):
    for ask in (open_source, read_metadata, lambda path: target(tmp_path / "a.mp4", path)):
        with pytest.raises(SourceError, match="cannot be the name of a file"):
            ask(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 251, "é" * 125 + "x"])
def test_the_longest_names(tmp_path, frame, name):
    (tmp_path / "out").mkdir()
    for _ in range(2):
        with open_sink(tmp_path / "out" / f"{name}.mp4", **WHAT, overwrite=True) as sink:
            sink.write(frame)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{name}.mp4"]


def test_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert target("", overwrite=True).path == target(".").path == tmp_path


def test_more_frames_than_a_picture_holds(tmp_path):
    for count in (None, 1):
        check_output(tmp_path / "out.png", expected_frames=count, faststart=False)
    check_output(tmp_path / "out.gif", expected_frames=9, faststart=False)
    check_output(tmp_path / "out.mov", expected_frames=9, faststart=True)
    check_output(f"{tmp_path}/out.png/", expected_frames=9, faststart=False)
    with pytest.raises(SinkError, match="holds one frame"):
        check_output(tmp_path / "out.JPG", expected_frames=2, faststart=False)


@pytest.mark.parametrize("name", ["out.webm", "out.gif", "out/", "out.mp4/"])
def test_no_index_to_move(tmp_path, name):
    with pytest.raises(ConfigError, match="faststart"):
        check_output(f"{tmp_path}/{name}", expected_frames=None, faststart=True)
