"""A short table of speed records: python benchmarks/table.py RECORDS..."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sidestream import records
from sidestream.bench.charts import number
from sidestream.console import Printer
from sidestream.types import Record

COLUMNS = {
    "fps": "fps",
    "step_fps": "step fps",
    "latency_ms_p50": "latency ms",
    "ratio": "ratio",
    "of_bound": "of bound",
}


def lines(found: Iterator[Record]) -> Iterator[dict[str, str]]:
    """Whole loops alone: stages, warm-ups and curves are in the reports."""
    for one in found:
        if "fps" not in one.metrics or one.row == "warm-up":
            continue
        stream = one.config["stream"]
        yield {
            "what": f"{one.table}: {one.row}{_rate(one)}",
            "B": str(stream["batch"]),
            "K": str(stream["steps"]),
            "size": stream["size"],
            **{
                name: number(one.metrics[metric]) if metric in one.metrics else ""
                for metric, name in COLUMNS.items()
            },
        }


def _rate(record: Record) -> str:
    rate = record.config.get("rate")
    return f", {rate:g} fps in" if rate else ""


def main() -> None:
    found = [line for path in sys.argv[1:] for line in lines(records.read(Path(path)))]
    if not found:
        sys.exit("table.py: there is no record of a whole loop in what was given")
    Printer(None).table(found)


if __name__ == "__main__":
    main()
