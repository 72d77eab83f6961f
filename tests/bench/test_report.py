"""Lines and tables from records."""

from __future__ import annotations

from sidestream.bench.report import document, grid, line
from sidestream.types import Record


def of(row: str, **metrics: float) -> Record:
    return Record(table="scaling", row=row, metrics=metrics)


def test_a_record_in_words():
    assert line(of("B = 8", fps=12.345, frames=480)) == "scaling, B = 8: fps 12.3, frames 480"


def test_what_was_not_measured_is_left_open():
    assert grid([of("a", fps=1), of("b", ms=2)]) == [
        ("", "fps", "ms"),
        ("a", "1", ""),
        ("b", "", "2"),
    ]


def test_a_wide_table_lies_on_its_side():
    wide = of("a", **{f"m{number}": number for number in range(10)})
    assert grid([wide])[:2] == [("", "a"), ("m0", "0")]


def test_of_nothing_there_is_a_document_all_the_same():
    assert document("A long run", "About it.", [], []) == "# A long run\n\nAbout it.\n"
