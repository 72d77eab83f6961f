"""Runs the real command in process, on the nano that a session has already loaded."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidestream import Stylizer
from sidestream.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Runner:
    stylizer: Stylizer
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path | int | float) -> Done:
        code = main(
            [str(one) for one in arguments], load=lambda name, config: nullcontext(self.stylizer)
        )
        return Done(code, *self.capture.readouterr())


def refuse_to_load(name: str, config: object):
    raise AssertionError("what is asked for can be refused before a model is loaded")
