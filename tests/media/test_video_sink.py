"""What is written comes back: pictures, times, colours, settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pictures import sliding
from sidestream.config import Size
from sidestream.media.metadata import read_metadata
from sidestream.media.open import open_source
from sidestream.media.sink import Output, open_sink, sink_into
from sidestream.media.target import target
from sidestream.types import Frame

SIZE = Size(128, 96)
MOVIES = ["out.mp4", "out.mov", "out.mkv", "out.webm"]
SETTINGS = {"prompt": 'ein "Ölbild" 🎨', "seed": "42"}


@pytest.fixture
def write(tmp_path, styled):
    def written(name, pictures, times=None, time_base=Fraction(1, 24), **options):
        height, width = pictures[0].shape[:2]
        settings = {
            "size": Size(width, height),
            "rate": Fraction(24),
            "metadata": SETTINGS,
            **options,
        }
        with open_sink(f"{tmp_path}/{name}", **settings) as sink:
            for index, pixels in enumerate(pictures):
                pts = index if times is None else times[index]
                sink.write(styled(Frame(pixels, pts, time_base, index)))
        assert not list(tmp_path.glob(f"{Path(name).stem}*.part*"))
        return tmp_path / name, sink

    return written


def read(path) -> list[Frame]:
    with open_source(path, strict=True) as source:
        return list(source)


@pytest.mark.parametrize("name", [*MOVIES, "out.gif", "out/"])
def test_every_picture_comes_back_in_its_place(write, picture, name):
    path, sink = write(name, [picture(i) for i in range(30)])
    frames = read(path)
    assert len(frames) == sink.frames == 30 and sink.warnings == []
    rough = 12 if name == "out.gif" else 4
    for frame in frames:
        assert np.abs(frame.pixels - picture(frame.index).astype(int)).mean() < rough


@pytest.mark.parametrize("name", [*MOVIES, "out.gif"])
def test_times_are_kept_and_begin_at_zero(write, picture, name):
    times = [5000, 5040, 5100, 5200, 5300, 5330]
    path, _ = write(name, [picture(i) for i in range(6)], times, Fraction(1, 1000))
    shown = [frame.seconds for frame in read(path)]
    assert shown == pytest.approx([0, 0.04, 0.1, 0.2, 0.3, 0.33], abs=0.0011)


@pytest.mark.parametrize("name", MOVIES)
def test_uneven_times_are_kept_through_many_fragments(make, write, picture, name):
    sound = make.video("in.mp4", 100, sound="aac")
    times = np.cumsum(np.random.default_rng(5).integers(5, 90, 80)).tolist()
    path, _ = write(
        name, [picture(i) for i in range(80)], times, Fraction(1, 1000), source_path=sound
    )
    shown = [round(frame.seconds * 1000) for frame in read(path)]
    assert shown == [time - times[0] for time in times]


def test_mp4_keeps_the_very_time_base(write, picture):
    times = [0, 1001, 3003, 4004]
    path, _ = write("out.mp4", [picture(i) for i in range(4)], times, Fraction(1, 30_000))
    frames = read(path)
    assert [frame.pts for frame in frames] == times and frames[0].time_base == Fraction(1, 30_000)


@pytest.mark.parametrize("name", [*MOVIES, "out.png", "out.jpg"])
@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 90), (30, 40, 250), (128, 128, 128)])
def test_flat_colours_survive(write, flat, name, colour):
    path, _ = write(name, [flat(colour)])
    assert np.abs(read(path)[0].pixels - np.array(colour)).max() <= 5


def test_a_movie_says_what_its_colours_mean(write, picture):
    path, _ = write("out.mp4", [picture(0)])
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
    assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
    assert (frame.color_trc, frame.color_primaries) == (1, 1)


@pytest.mark.parametrize("name", [*MOVIES, "out.gif", "out/", "out.png", "out.jpg"])
def test_the_settings_are_found_again(write, picture, name):
    path, _ = write(name, [picture(0)])
    assert read_metadata(path) == SETTINGS


def test_files_of_others_have_no_settings(make, tmp_path):
    assert read_metadata(make.video()) == read_metadata(tmp_path) == {}
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        output.metadata["comment"] = "[made by hand"
        output.mux(output.add_stream("ffv1", width=64, height=64).encode(av.VideoFrame(64, 64)))
    assert read_metadata(tmp_path / "a.mkv") == {}


@pytest.mark.parametrize("name", [*MOVIES, "out.gif", "out/"])
def test_odd_sizes(write, picture, name):
    path, sink = write(name, [picture(i, 127, 95) for i in range(3)])
    shape = read(path)[0].pixels.shape[:2]
    even = name in MOVIES[:3]
    assert shape == ((96, 128) if even else (95, 127))
    assert sink.warnings == (
        ["127x95 is written as 128x96, because H.264 needs even sides"] if even else []
    )


def test_a_keyframe_every_half_second(write, picture):
    path, _ = write("out.mp4", [picture(i) for i in range(30)])
    with av.open(str(path)) as container:
        keys = [packet.pts * packet.time_base for packet in container.demux() if packet.is_keyframe]
    assert keys == [0, 0.5, 1]


def test_the_index_may_come_first(write, picture):
    path, _ = write("out.mp4", [picture(i) for i in range(30)], faststart=True)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat") and b"moof" not in data
    assert [frame.pts * frame.time_base * 24 for frame in read(path)] == list(range(30))
    assert read_metadata(path) == SETTINGS


def test_input_and_output_next_to_each_other(tmp_path, styled, flat):
    source = Frame(flat((250, 0, 0), 64, 48), 0, Fraction(1, 24), 0)
    with open_sink(
        tmp_path / "out.png", size=SIZE, rate=Fraction(24), metadata={}, compare=True
    ) as sink:
        sink.write(styled(source, flat((0, 0, 250))))
    (frame,) = read(tmp_path / "out.png")
    assert frame.pixels.shape == (96, 256, 3)
    assert frame.pixels[50, 100, 0] == frame.pixels[50, 200, 2] == 250
    assert not (tmp_path / "out.png.json").exists()


def test_other_sizes_are_brought_to_the_size_of_the_file(write, flat):
    path, _ = write("out.mp4", [flat((9, 200, 9)), flat((9, 200, 9), 64, 64)])
    assert {frame.pixels.shape for frame in read(path)} == {(96, 128, 3)}


def test_overwriting_replaces_an_older_folder_whole(write, picture, tmp_path):
    write("out/", [picture(i) for i in range(5)])
    (tmp_path / "out" / "mine.txt").write_text("stays")
    path, _ = write("out", [picture(i) for i in range(2)], overwrite=True)
    names = sorted(file.name for file in path.iterdir())
    assert names == ["000000.png", "000001.png", "mine.txt", "settings.json"]


def test_overwriting_a_file(write, picture):
    write("out.mp4", [picture(i) for i in range(5)])
    path, _ = write("out.mp4", [picture(0)], overwrite=True)
    assert len(read(path)) == 1


@pytest.mark.parametrize("stem", ["日本語 'q' é🎥", "new\nline", "-i", "100%05d", "é" * 125])
def test_unusual_names(write, picture, stem):
    path, _ = write(f"{stem}.mp4", [picture(0)])
    assert len(read(path)) == 1


def test_a_gif_is_never_faster_than_browsers_can_show(write, picture):
    path, _ = write("out.gif", [picture(i) for i in range(4)], time_base=Fraction(1, 100))
    assert [frame.pts for frame in read(path)] == [0, 2, 4, 6]


@pytest.mark.parametrize("name", MOVIES)
def test_the_same_pictures_give_the_same_movie_however_busy_the_machine(write, name):
    """With its macroblock tree, x264 often gives another one where its threads have to wait."""
    pictures = sliding(12)

    def packets(again: int) -> list[bytes]:
        path, _ = write(f"{again}-{name}", pictures)
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(video=0) if packet.size]

    with ThreadPoolExecutor(4) as busy:
        made = list(busy.map(packets, range(40)))
    assert all(one == made[0] for one in made)


class Interrupted:
    """A writer that is stopped while it finishes."""

    warnings: tuple[str, ...] = ()

    def add(self, pixels: np.ndarray, frame: Frame) -> None:
        pass

    def close(self) -> None:
        raise KeyboardInterrupt


def test_stopped_while_it_is_finished_nothing_is_left(tmp_path: Path, picture):
    output = Output(size=SIZE, keep=True, metadata={})
    with (
        pytest.raises(KeyboardInterrupt),
        sink_into(target(tmp_path / "out.mp4"), output, lambda part: Interrupted()) as sink,
    ):
        sink.add(picture(0), Frame(picture(0), 0, Fraction(1, 24), 0))
        assert [path.name for path in tmp_path.iterdir()] == ["out.part.mp4"]
    assert list(tmp_path.iterdir()) == []
