"""What was measured, as lines, tables and a document. Drawn from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sidestream.bench.charts import number
from sidestream.records import Row, table
from sidestream.types import Record

CURVES = "over time"
"""Tables whose name ends so are points of a curve: for charts alone."""
WIDE = 9
"""Tables of more metrics than this are laid on their side."""


def line(record: Record) -> str:
    """One record in words."""
    figures = ", ".join(f"{name} {number(value)}" for name, value in record.metrics.items())
    return f"{record.table}, {record.row}: {figures}"


def is_curve(record: Record) -> bool:
    return record.table.endswith(CURVES)


def document(title: str, about: str, records: Sequence[Record], pictures: Iterable[str]) -> str:
    """The report in Markdown."""
    parts = [f"# {title}", about, *map(_around, records[:1])]
    shown = [one for one in records if not is_curve(one)]
    for name in dict.fromkeys(one.table for one in shown):
        lines = grid([one for one in shown if one.table == name])
        parts += [f"## {name}", table(lines[0], lines[1:])]
    parts += [f"![{Path(name).stem}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def grid(records: Sequence[Record]) -> list[Row]:
    """A row a record and a column a metric, or the other way round where there are many metrics."""
    metrics = list(dict.fromkeys(name for one in records for name in one.metrics))
    lines: list[Row] = [
        ("", *metrics),
        *(
            (
                one.row,
                *(number(one.metrics[name]) if name in one.metrics else "" for name in metrics),
            )
            for one in records
        ),
    ]
    return lines if len(metrics) <= WIDE else list(zip(*lines, strict=True))


def _around(record: Record) -> str:
    around, asked = record.environment, record.config
    loading, stream = asked["loading"], asked["stream"]
    return (
        f"{asked['model']} at {stream['size']}, K = {stream['steps']}, batches of {stream['batch']},"
        f" adapter {loading['adapter']}, {loading['dtype']}, compiled: {'yes' if loading['compile'] else 'no'};"
        f" where a row says otherwise, it holds. Commit {around.get('commit')}, sidestream"
        f" {around.get('sidestream')}, torch {around.get('torch')}, {around.get('device')}, threads"
        f" {around.get('threads')}. All figures are in records.jsonl."
    )
