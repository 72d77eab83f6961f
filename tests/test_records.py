"""Measurements as lines."""

from __future__ import annotations

from pathlib import Path

from sidestream import records
from sidestream.types import Record


def test_records_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "results" / "table.jsonl"
    written = [
        Record(table="speed", row=f"B = {batch}", metrics={"fps": 1.5 * batch}, clip="schön")
        for batch in (1, 2)
    ]
    for record in written:
        records.append(path, record)
    assert list(records.read(path)) == written


def test_outside_of_a_repository_there_is_no_commit(tmp_path):
    assert records.commit(tmp_path) is None
    assert records.commit(tmp_path / "nowhere") is None
    assert records.commit(Path(__file__).parent) is None or records.commit(Path(__file__).parent)
