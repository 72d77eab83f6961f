"""Training pictures on disk: rendered once, and gone on with where that was interrupted."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.synth import worlds
from sidestream.train import pictures
from sidestream.train.pictures import drawn, painted
from sidestream.types import Pixels

SIZE = Size(8, 6)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "PIECE", 4)


def draw(index: int) -> Pixels:
    return np.random.default_rng(index).integers(256, size=(6, 8, 3), dtype=np.uint8)


def negative(picture: Pixels) -> Pixels:
    return 255 - picture


def untold(done: int, total: int) -> None:
    pass


class Drawing:
    """Notes what is drawn, and breaks off at one picture."""

    def __init__(self, until: int = 1000) -> None:
        self.until = until
        self.numbers: list[int] = []

    def __call__(self, index: int) -> Pixels:
        if index == self.until:
            raise KeyboardInterrupt
        self.numbers.append(index)
        return draw(index)


def test_every_picture_is_drawn_once(tmp_path: Path):
    drawing, told = Drawing(), list[tuple[int, int]]()
    shelf = drawn(
        tmp_path / "a" / "source.npy", 10, SIZE, drawing, told=lambda *done: told.append(done)
    )
    assert np.array_equal(shelf, [draw(index) for index in range(10)])
    assert told == [(4, 10), (8, 10), (10, 10)]
    again = drawn(tmp_path / "a" / "source.npy", 10, SIZE, Drawing(until=0), told=untold)
    assert np.array_equal(again, shelf)
    assert drawing.numbers == list(range(10))


def test_what_was_interrupted_goes_on_to_the_same_bytes(tmp_path: Path):
    whole, parts = tmp_path / "whole.npy", tmp_path / "parts.npy"
    drawn(whole, 10, SIZE, draw, told=untold)
    with pytest.raises(KeyboardInterrupt):
        drawn(parts, 10, SIZE, Drawing(until=6), told=untold)
    rest = Drawing()
    drawn(parts, 10, SIZE, rest, told=untold)
    assert rest.numbers == list(range(4, 10))
    assert parts.read_bytes() == whole.read_bytes()


def test_several_workers_draw_the_same_bytes(tmp_path: Path):
    one, two = tmp_path / "one.npy", tmp_path / "two.npy"
    size = Size(64, 64)
    world = partial(worlds.picture, size=size)
    drawn(one, 6, size, world, told=untold)
    drawn(two, 6, size, world, workers=2, told=untold)
    assert two.read_bytes() == one.read_bytes()


def test_paintings_are_the_painters(tmp_path: Path):
    source = tmp_path / "source.npy"
    shelf = drawn(source, 5, SIZE, draw, told=untold)
    paintings = painted(tmp_path / "negative.npy", source, negative, told=untold)
    assert np.array_equal(paintings, 255 - shelf)


@pytest.mark.parametrize(("count", "size"), [(7, SIZE), (5, Size(4, 6))])
def test_another_count_or_size_is_rendered_anew(tmp_path: Path, count: int, size: Size):
    path = tmp_path / "source.npy"
    drawn(path, 5, SIZE, draw, told=untold)
    drawing = Drawing()

    def cut(index: int) -> Pixels:
        return drawing(index)[: size.height, : size.width]

    assert drawn(path, count, size, cut, told=untold).shape == (count, size.height, size.width, 3)
    assert drawing.numbers == list(range(count))


@pytest.mark.parametrize("lost", ["source.npy", "source.done.npy"])
def test_without_one_of_its_two_files_a_shelf_is_rendered_anew(tmp_path: Path, lost: str):
    path, drawing = tmp_path / "source.npy", Drawing()
    drawn(path, 5, SIZE, draw, told=untold)
    (tmp_path / lost).unlink()
    drawn(path, 5, SIZE, drawing, told=untold)
    assert drawing.numbers == list(range(5))


def test_more_than_the_disk_holds_is_refused_before_a_picture_is_drawn(tmp_path: Path):
    with pytest.raises(SinkError, match=r"take \d+\.\d GB and \d+\.\d GB are free"):
        drawn(tmp_path / "source.npy", 10**13, SIZE, Drawing(until=0), told=untold)
    assert list(tmp_path.iterdir()) == []
