"""Everything measured, kept and shown: records as they come, contact sheets, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sidestream import records
from sidestream.console import Progress
from sidestream.eval import sheets
from sidestream.eval.bench import Bench
from sidestream.eval.clips import Clip
from sidestream.eval.experiments import expected_frames, run
from sidestream.eval.report import document
from sidestream.media.stills import save
from sidestream.types import Record

REPORT = "report.md"


def evaluate(
    bench: Bench,
    clips: Sequence[Clip],
    folder: Path,
    *,
    progress: Progress = lambda done, expected: None,
) -> list[Record]:
    """Fills a folder, replacing what an earlier run left; when it is stopped, with what there is by then."""
    bench = _counting(bench, clips, progress)
    records.clear(folder, records.FILE, REPORT)
    found: list[Record] = []
    pictures: list[str] = []
    try:
        for name, pixels in sheets.sheets(bench, clips):
            save(folder / f"{name}.png", pixels)
            pictures.append(name)
        for record in run(bench, clips):
            records.append(folder / records.FILE, record)
            found.append(record)
    finally:
        (folder / REPORT).write_text(document(found, pictures, bench.model), "utf-8")
    return found


def _counting(bench: Bench, clips: Sequence[Clip], progress: Progress) -> Bench:
    expected = expected_frames(bench.extent, clips) + sheets.frames_shown(bench, clips)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, expected)

    return replace(bench, tick=tick)
