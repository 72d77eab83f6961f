"""What a seat asks of the worker, as words in its mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sidestream.config import Size
from sidestream.types import Controls


@dataclass(frozen=True)
class Wish:
    tenancy: int
    """Raised with every viewer who takes the seat."""
    taken: bool = False
    controls: Controls = Controls()

    def words(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> Wish:
        asked = dict(words["controls"])
        prompt, size = asked.pop("prompt"), asked.pop("size")
        if not isinstance(prompt, str):
            prompt = tuple((str(text), float(weight)) for text, weight in prompt)
        controls = Controls(prompt=prompt, size=Size(**size) if size else None, **asked)
        return cls(words["tenancy"], words["taken"], controls)
