from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sidestream.errors import SourceError
from sidestream.media.images import find_pictures
from sidestream.media.open import open_source


def folder_of(path, names, size=(64, 48)):
    path.mkdir()
    for level, name in enumerate(names):
        Image.new("RGB", size, (10 * level, 0, 0)).save(path / name)
    return path


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    names = [f"img_{number}.png" for number in (1, 2, 10, 11)]
    folder = folder_of(tmp_path / "in", names)
    (folder / "notes.txt").write_text("not a picture")
    with open_source(folder) as source:
        assert (source.expected_frames, source.seconds) == (4, 4 / 25)
        frames = list(source)
    assert [frame.pixels[5, 5, 0] for frame in frames] == [0, 10, 20, 30]
    assert [frame.pts * frame.time_base * 25 for frame in frames] == [0, 1, 2, 3]


def test_a_pattern_takes_only_what_fits(tmp_path):
    folder = folder_of(tmp_path / "in", ["a_0001.png", "a_0002.png", "b_0001.png", "a_x.png"])
    found = find_pictures(folder / "a_%04d.png")
    assert [path.name for path in found or []] == ["a_0001.png", "a_0002.png"]
    with open_source(folder / "a_%d.png") as source:
        assert len(list(source)) == 2


def test_an_ordinary_file_is_no_series(tmp_path):
    assert find_pictures(tmp_path / "clip.mp4") is None


def test_kinds_may_be_mixed(tmp_path):
    names = ["0.png", "1.jpg", "2.bmp", "3.tiff", "4.webp", "5.ppm"]
    with open_source(folder_of(tmp_path / "in", names)) as source:
        levels = [int(frame.pixels[5, 5, 0]) for frame in source]
    assert np.abs(np.array(levels) - np.arange(6) * 10).max() <= 3


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path):
    folder = folder_of(tmp_path / "in", ["0.png", "1.png", "2.png"])
    (folder / "1.png").write_bytes(b"nothing")
    with open_source(folder) as source:
        assert [(frame.index, frame.pts) for frame in source] == [(0, 0), (1, 2)]
    assert source.warnings == ["1 packet could not be decoded"]
    with open_source(folder, strict=True) as source, pytest.raises(SourceError, match="1 packet"):
        list(source)


def test_a_part_of_a_folder(tmp_path):
    folder = folder_of(tmp_path / "in", [f"{number}.png" for number in range(10)])
    with open_source(folder, start=0.08, duration=0.12) as source:
        assert [frame.pts for frame in source] == [2, 3, 4]


def test_nothing_stays_open(tmp_path):
    folder = folder_of(tmp_path / "in", [f"{number}.png" for number in range(40)])
    with open_source(folder) as source:
        before = len(list((tmp_path / "/proc/self/fd").iterdir()))
        assert len(list(source)) == 40
        assert len(list((tmp_path / "/proc/self/fd").iterdir())) <= before
