"""Records asked for figures: means by table and row, and what they are by one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidestream.eval.bench import DRAWN
from sidestream.eval.streams import OFF, ON
from sidestream.types import Record


class Results:
    """Records by table and row; every figure is a mean over the records that have it, so over clips and styles."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = list(records)

    def mean(self, metric: str, table: str, row: str | None = None, **config: object) -> float:
        """Not a number where nothing was measured."""
        found = [one.metrics.get(metric, 0.0) for one in self.of(table, row, **config)]
        return sum(found) / len(found) if found else float("nan")

    def of(self, table: str, row: str | None = None, **config: object) -> list[Record]:
        return [
            one
            for one in self._records
            if one.table == table
            and row in (None, one.row)
            and all(one.config.get(name) == value for name, value in config.items())
        ]

    def still(self, metric: str, style: str | None = None, steps: int = 1) -> float:
        """Of the drawn styles together, or of one style."""
        if style is not None:
            return self.mean(metric, "stills", style, steps=steps)
        return sum(self.still(metric, one, steps) for one in DRAWN) / len(DRAWN)

    def share(self, metric: str, of: str, style: str | None = None, steps: int = 1) -> float:
        return ratio(self.still(metric, style, steps), self.still(of, style, steps))

    def steady(self, metric: str, row: str = ON, to: str = OFF) -> float:
        """Of one row by that of another."""
        return ratio(self.mean(metric, "steady", row), self.mean(metric, "steady", to))

    def nearest(self, table: str, row: str, **config: object) -> str:
        """Which styles the outputs look like, the most frequent first."""
        named = {name for one in self.of(table, row, **config) for name in one.metrics}
        shares = {
            name.removeprefix("nearest "): self.mean(name, table, row, **config)
            for name in named
            if name.startswith("nearest ")
        }
        ranked = sorted(shares.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {share:.0%}" for name, share in ranked[:3])

    @property
    def clips(self) -> list[str]:
        return list(dict.fromkeys(one.clip for one in self._records if one.clip))

    @property
    def environment(self) -> Mapping[str, object]:
        return self._records[0].environment if self._records else {}


def ratio(one: float, other: float) -> float:
    return one / other if other else float("nan")
