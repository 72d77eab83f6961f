"""From records to verdicts and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sidestream import records
from sidestream.errors import SinkError
from sidestream.eval import sheets
from sidestream.eval.bench import Extent
from sidestream.eval.findings import findings, summary
from sidestream.eval.nano import evaluate
from sidestream.eval.report import document
from sidestream.eval.results import Results
from sidestream.media.stills import save
from sidestream.types import Record


def steady(row: str, clip: str, **metrics: float) -> Record:
    return Record(table="steady", row=row, metrics=metrics, clip=clip)


@pytest.mark.parametrize(("error", "met"), [(7.9, True), (8.1, False)])
def test_steadier_is_measured_by_the_mean_over_clips(error: float, met: bool):
    found = findings(
        Results(
            [
                steady("adapter off", "a", warping_error=5, sobel=10, hf_fft=10),
                steady("adapter off", "b", warping_error=15, sobel=10, hf_fft=10),
                steady("adapter on", "a", warping_error=error, sobel=9, hf_fft=9.6),
                steady("adapter on", "b", warping_error=error, sobel=9, hf_fft=9.6),
            ]
        )
    )
    assert [(one.found, one.met) for one in found] == [
        (pytest.approx(error / 10), met),
        (pytest.approx(0.9), False),
        (pytest.approx(0.96), True),
    ]


def test_of_nothing_nothing_is_said():
    assert findings(Results([])) == []
    assert "0 of 0 met" in document([], [], "nano")


@pytest.fixture
def folder(painter, clip, tmp_path: Path) -> Path:
    evaluate(replace(painter, extent=Extent(3, quick=True)), [clip], tmp_path)
    return tmp_path


def test_a_perfect_painter_meets_what_is_wanted_of_following(folder: Path):
    rows = {
        one["what"]: one["met"] for one in summary(Results(records.read(folder / "records.jsonl")))
    }
    assert rows["oil: frames nearest to their own style"] == "yes"
    assert rows["anime: distance left"] == rows["pencil: SSIM, by the target's own"] == "yes"
    assert rows["unchanged: PSNR to the input in dB"] == "yes"
    assert rows["adapter on: warping error, by that without"] == "no"


def test_blur_fails_what_is_wanted(blurred, clip, tmp_path: Path):
    found = evaluate(replace(blurred, extent=Extent(3, quick=True)), [clip], tmp_path)
    missed = [one.what for one in findings(Results(found)) if not one.met]
    assert "Sobel at K = 1, by the target's" in missed
    assert sum("distance left" in what for what in missed) >= 4


def test_the_report_shows_every_table_and_picture(folder: Path):
    text = (folder / "report.md").read_text("utf-8")
    for title in ("wanted", "Prompt following", "Content", "Steps", "Steadiness", "Scene cut"):
        assert f"## {title}" in text or f"## What is {title}" in text
    assert "| oil | 100% | 0.000 |" in text and "oil 100%" in text
    pictures = sorted(path.stem for path in folder.glob("*.png"))
    assert pictures == ["strip-moving", "styles-moving", "unseen"]
    assert all(f"({name}.png)" in text for name in pictures)
    assert "**no**" in text


def test_progress_ends_with_all_frames_done(painter, clip, tmp_path: Path):
    told: list[tuple[int, int | None]] = []
    bench = replace(painter, extent=Extent(2, quick=True))
    evaluate(bench, [clip], tmp_path, progress=lambda *given: told.append(given))
    done, expected = told[-1]
    assert done == expected == len(told)


def test_a_run_that_is_stopped_leaves_what_it_has(painter, clip, tmp_path: Path):
    (tmp_path / "records.jsonl").write_text("of an earlier run\n")

    def stop(done: int, expected: int | None) -> None:
        if done == 200:
            raise KeyboardInterrupt

    bench = replace(painter, extent=Extent(4))
    with pytest.raises(KeyboardInterrupt):
        evaluate(bench, [clip], tmp_path, progress=stop)
    found = list(records.read(tmp_path / "records.jsonl"))
    assert found and all(one.clip == "moving" for one in found)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "## Prompt following" in text and "## Speed" not in text


def test_a_folder_that_cannot_be_written_to(painter, clip, tmp_path: Path):
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(SinkError, match="cannot be written to"):
        evaluate(painter, [clip], tmp_path)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(SinkError, match=r"a\.png could not be written"):
        save(tmp_path / "a.png", clip.frames[0])


def test_a_sheet_shows_pictures_as_they_are():
    red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    page = sheets.sheet({"one": [red, blue], "two": [blue, red]}, ["a", "b"])
    assert page.shape == (2 * 56, 2 * 40, 3)
    assert (page[40, 20] == (255, 0, 0)).all() and (page[40, 60] == (0, 0, 255)).all()
    assert (page[96, 20] == (0, 0, 255)).all()
