"""Writes docs/cli.md from the real `--help` of every command: python docs/cli.py"""

import os
import re
import subprocess
import sys
from pathlib import Path

PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
HEAD = """# Command line

What `--help` says, written by `python docs/cli.py`; a test holds the two equal. Exit codes are in
[how it works](how-it-works.md#errors-limits-and-exit-codes).
"""


def document() -> str:
    commands = re.findall(r"\w+", said().partition("{")[2].partition("}")[0])
    return "\n".join((HEAD, section(), *map(section, commands)))


def section(*command: str) -> str:
    return f"## {' '.join(('sidestream', *command))}\n\n```text\n{said(*command)}\n```\n"


def said(*command: str) -> str:
    arguments = [sys.executable, "-m", "sidestream", *command, "--help"]
    return subprocess.check_output(arguments, env={**os.environ, **PLAIN}, encoding="utf-8").strip()


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(document(), "utf-8")
