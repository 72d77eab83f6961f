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
            "what": ", ".join((f"{one.table}: {one.row}", *_how(one))),
            "B": str(stream["batch"]),
            "K": str(stream["steps"]),
            "size": stream["size"],
            **{
                name: number(one.metrics[metric]) if metric in one.metrics else ""
                for metric, name in COLUMNS.items()
            },
        }


def _how(record: Record) -> Iterator[str]:
    """What tells runs of the same kind apart."""
    loading, stream = record.config.get("loading", {}), record.config["stream"]
    if loading.get("compile"):
        yield "compiled"
    if loading.get("fp8"):
        yield "fp8"
    if not loading.get("capture", True):
        yield "no graphs"
    if stream.get("flow", "dis") != "dis":
        yield f"{stream['flow']} flow"
    if rate := record.config.get("rate"):
        yield f"{rate:g} fps in"


def main() -> None:
    found = [line for path in sys.argv[1:] for line in lines(records.read(Path(path)))]
    if not found:
        sys.exit("table.py: there is no record of a whole loop in what was given")
    Printer(None).table(found)


if __name__ == "__main__":
    main()
