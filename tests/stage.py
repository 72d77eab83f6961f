"""Runs `sidestream live` as a process of its own, with the studio that inverts in place of a model: python tests/stage.py ..."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from inverting import InvertingStudio
from sidestream.cli import main

ROOT = Path(__file__).parents[1]


def stage(*arguments: object, **how) -> subprocess.Popen[str]:
    """Begins it; what it says can be read."""
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        stdin=how.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        **how,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], studio=lambda *given, **how: InvertingStudio()))
