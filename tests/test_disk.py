"""What is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidestream import disk


def test_what_was_kept_is_there_again(tmp_path: Path):
    path = tmp_path / "new" / "one.blob"
    assert disk.kept(path) is None
    disk.keep(path, b"content", suffix=".blob", newest=2)
    assert disk.kept(path) == b"content"
    assert [one.name for one in path.parent.iterdir()] == ["one.blob"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path):
    paths = [tmp_path / f"{name}.blob" for name in "abc"]
    other = tmp_path / "other.txt"
    other.write_text("stays")
    for age, path in enumerate(paths[:2]):
        disk.keep(path, b"", suffix=".blob", newest=2)
        os.utime(path, (age, age))
    disk.kept(paths[0])
    disk.keep(paths[2], b"", suffix=".blob", newest=2)
    assert [path.exists() for path in [*paths, other]] == [True, False, True, True]


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    disk.keep(in_the_way / "one.blob", b"content", suffix=".blob", newest=2)
    assert disk.kept(in_the_way / "one.blob") is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SIDESTREAM_CACHE": "/own", "XDG_CACHE_HOME": "/all"}, "/own/graphs"),
        ({"XDG_CACHE_HOME": "/all"}, "/all/sidestream/graphs"),
        ({"HOME": "/home/one"}, "/home/one/.cache/sidestream/graphs"),
    ],
)
def test_where_it_is_kept(monkeypatch, variables: dict[str, str], expected: str):
    for name in ("SIDESTREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert disk.folder("graphs") == Path(expected)
