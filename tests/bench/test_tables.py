"""The tables of docs/performance.md that scripts draw are those of the records that are kept."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from sidestream import records
from sidestream.types import Record

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["flow", "fp8"])
def test_a_table_is_drawn_from_its_records(name: str):
    script = runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    found = list(records.read(ROOT / "benchmarks" / "results" / f"{name}.jsonl"))
    assert script["table"](found) in (ROOT / "docs" / "performance.md").read_text()


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    for row in ("old", "new"):
        made = Record(table="formats", row=row, metrics={"psnr": 50.0})
        records.write(path, [made])
        assert list(records.read(path)) == [made]
