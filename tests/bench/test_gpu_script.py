"""benchmarks/gpu.sh, with an interpreter that measures nothing; and the table it prints last."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidestream.bench.suite import EXPERIMENTS

ROOT = Path(__file__).parents[2]
STUB = """#!/bin/sh
[ "$1" = -m ] || exec {python} "$@"
echo "$*" >>{said}
case "$*" in *{failing}*) exit 3 ;; esac
while [ "$#" -gt 0 ]; do
  if [ "$1" = --output-dir ]; then
    mkdir -p "$2"
    echo '{record}' >"$2/records.jsonl"
  fi
  shift
done
"""
RECORD = (
    '{"table": "sustained", "row": "steady", "metrics": {"fps": 12.5, "step_fps": 20.0},'
    ' "config": {"stream": {"batch": 8, "steps": 1, "size": "64x64", "flow": "dense"},'
    ' "loading": {"compile": true, "capture": false}, "rate": 30}}'
)


@dataclass(frozen=True)
class Script:
    folder: Path

    def __call__(self, *arguments: str, failing: str = "nothing fails"):
        stub, said = self.folder / "python", self.folder / "said"
        text = STUB.format(python=sys.executable, said=said, failing=f"'{failing}'", record=RECORD)
        stub.write_text(text)
        stub.chmod(0o755)
        return subprocess.run(
            [ROOT / "benchmarks" / "gpu.sh", "--out", self.folder / "out", *arguments],
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(stub)},
            capture_output=True,
            text=True,
        )

    @property
    def said(self) -> list[str]:
        return (self.folder / "said").read_text().splitlines()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_everything_is_measured_and_told_in_one_table(script: Script, tmp_path: Path):
    asked = ("--device", "cpu", "--model", "nano", "--quick", "--", "--size", "64x64")
    done = script(*asked)
    assert done.returncode == 0, done.stderr
    assert {line.split()[3] for line in script.said} == set(EXPERIMENTS)
    assert all("--model nano --device cpu" in line for line in script.said)
    assert all(line.endswith("--quick --size 64x64") for line in script.said)
    records = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert records == [RECORD] * len(script.said)
    head, *rows = done.stdout.splitlines()[-len(records) - 1 :]
    assert head.split() == [
        "what",
        "B",
        "K",
        "size",
        "fps",
        "step",
        "fps",
        "latency",
        "ms",
        "ratio",
        "of",
        "bound",
    ]
    how = "compiled, no graphs, dense flow, 30 fps in"
    assert {tuple(row.split()) for row in rows} == {
        tuple(f"sustained: steady, {how} 8 1 64x64 12.5 20".split())
    }


def test_graphs_compiled_functions_and_flow_on_the_device_are_measured_beside_none(script: Script):
    assert script("--device", "cpu").returncode == 0
    for flag in ("--compile", "--no-capture", "--flow dense", "--flow dis", "--rate 30", "--fp8"):
        assert any(flag in line for line in script.said), flag


def test_a_gpu_is_tested_before_it_is_measured(script: Script):
    assert script("--device", "cuda").returncode == 0
    first, second, *_ = script.said
    assert first.startswith("-m pytest -q -m gpu") and "tests/models/test_fp8.py" in first
    assert second.startswith("-m sidestream bench sustained")


def test_what_fails_is_named_and_the_rest_goes_on(script: Script):
    done = script("--device", "cpu", failing="bench refresh")
    assert done.returncode == 1
    assert "== not whole: refresh\n" in done.stdout
    assert script.said[-1].split()[3] == "scaling"


def test_what_there_is_no_time_for_is_left_out(script: Script):
    done = script("--device", "cpu", "--seconds", "0")
    assert done.returncode == 1
    assert "not whole: sustained-b8 " in done.stdout
    assert "no record of a whole loop" in done.stderr


def test_wheels_are_unpacked_first(script: Script, tmp_path: Path):
    (tmp_path / "one.whl").touch()
    assert script("--device", "cpu", "--wheels", str(tmp_path)).returncode == 0
    assert script.said[0].startswith("-m pip install") and script.said[0].endswith("one.whl")


def test_an_option_that_is_not_known_is_named(script: Script):
    done = script("--fast")
    assert (done.returncode, "there is no option --fast" in done.stderr) == (2, True)
