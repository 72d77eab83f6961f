"""What is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidestream import disk


def test_what_was_kept_is_there_again(tmp_path: Path):
    path = tmp_path / "new" / "one.blob"
    assert disk.kept(path) is None
    disk.keep(path, b"content", suffix=".blob", most_bytes=20)
    assert disk.kept(path) == b"content"
    assert [one.name for one in path.parent.iterdir()] == ["one.blob"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path):
    paths = [tmp_path / f"{name}.blob" for name in "abc"]
    other = tmp_path / "other.txt"
    other.write_text("stays")
    for age, path in enumerate(paths[:2]):
        disk.keep(path, bytes(8), suffix=".blob", most_bytes=20)
        os.utime(path, (age, age))
    disk.kept(paths[0])
    disk.keep(paths[2], bytes(8), suffix=".blob", most_bytes=20)
    assert [path.exists() for path in [*paths, other]] == [True, False, True, True]


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    disk.keep(in_the_way / "one.blob", b"content", suffix=".blob", most_bytes=20)
    assert disk.kept(in_the_way / "one.blob") is None


def test_what_is_larger_than_all_may_be_is_not_kept(tmp_path: Path):
    path = tmp_path / "one.blob"
    disk.keep(path, bytes(21), suffix=".blob", most_bytes=20)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_made_fuller(tmp_path: Path, monkeypatch):
    def full(part: Path, path: Path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    disk.keep(tmp_path / "one.blob", b"content", suffix=".blob", most_bytes=20)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_touched_can_be_read(tmp_path: Path, monkeypatch):
    def refused(path: Path):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "one.blob"
    path.write_bytes(b"content")
    monkeypatch.setattr(Path, "touch", refused)
    assert disk.kept(path) == b"content"


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
