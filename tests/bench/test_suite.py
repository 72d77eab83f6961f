"""Folders filled with what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from sidestream import records
from sidestream.bench import suite
from sidestream.bench.bench import Bench
from sidestream.errors import SinkError


def test_a_folder_holds_records_charts_and_the_report(bench: Bench, tmp_path: Path):
    (tmp_path / "records.jsonl").write_text("of an earlier run\n")
    told = []
    found = suite.perform("sustained", replace(bench, frames=32), tmp_path, told.append)
    assert found == told
    kept = list(records.read(tmp_path / "records.jsonl"))
    assert [(one.row, one.metrics) for one in kept] == [(one.row, one.metrics) for one in found]
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "# A long run" in text and "![over-time](over-time.png)" in text
    assert "| steady |" in text and "nano at 64x64, K = 1, batches of 2, adapter default" in text
    assert cv2.imread(str(tmp_path / "over-time.png")).shape == (480, 960, 3)


def test_a_run_that_is_stopped_leaves_what_it_has(bench: Bench, tmp_path: Path):
    def stop(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.perform("sustained", bench, tmp_path, stop)
    assert [one.row for one in records.read(tmp_path / "records.jsonl")] == ["warm-up"]
    assert "warm-up" in (tmp_path / "report.md").read_text("utf-8")


def test_a_folder_that_cannot_be_written_to(bench: Bench, tmp_path: Path):
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(SinkError, match="cannot be written to"):
        suite.perform("sustained", bench, tmp_path)
