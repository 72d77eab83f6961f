"""`sidestream bench`: its flags, what it says, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from commands import Runner, refuse_to_load
from sidestream import Stylizer, flags
from sidestream.bench.suite import EXPERIMENTS
from sidestream.cli import main

SMALL = ("--size", "64x64", "--batch", 2, "--frames", 16)


@pytest.fixture
def run(nano: Stylizer, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(nano, capsys)


def test_every_measurement_has_its_name_on_the_command_line():
    asked = get_type_hints(flags.Bench)["what"]
    assert set(get_args(asked)) == set(EXPERIMENTS)


def test_a_measurement_tells_its_records_and_leaves_a_report(run: Runner, tmp_path: Path):
    out = tmp_path / "out"
    done = run("bench", "sustained", *SMALL, "--output-dir", out, "--json", tmp_path / "all.json")
    assert (done.code, done.err) == (0, "")
    warm_up, steady, where = done.out.splitlines()
    assert warm_up.startswith("sustained, warm-up: first_frame_ms ")
    assert steady.startswith("sustained, steady: fps ")
    assert where == f"the report is {out / 'report.md'}"
    told = json.loads((tmp_path / "all.json").read_text())
    assert [one["row"] for one in told] == ["warm-up", "steady", "0"]
    assert {path.name for path in out.iterdir()} == {"records.jsonl", "report.md", "over-time.png"}


def test_a_quick_look_takes_fewer_frames(run: Runner, tmp_path: Path):
    done = run(
        "bench", "memory", "--quick", "--size", "32x32", "--batch", 16, "--output-dir", tmp_path
    )
    assert f"frames {EXPERIMENTS['memory'].quick}" in done.out


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("--model", "nowhere"), 5, "there is no model 'nowhere'"),
        (("--frames", "0"), 2, "--frames must be from 1 to 1000000"),
        (("--frames", "four"), 2, "--frames must be a whole number, got 'four'"),
        (("--rate", "0"), 2, "--rate must be from 0.1 to 1000"),
        (("--rounds", "0"), 2, "--rounds must be from 1 to 100"),
        (("--size", "100x64"), 2, "width must be a multiple of 32"),
        (("--batch", "3"), 2, "--batch must be 1, 2, 4, 8 or 16"),
    ],
)
def test_a_measurement_that_cannot_be_made(capsys, asked: tuple[str, ...], code: int, said: str):
    assert main(["bench", "sustained", *asked], load=refuse_to_load) == code
    assert said in capsys.readouterr().err


def test_a_measurement_that_there_is_not(capsys):
    assert main(["bench", "nosuch"], load=refuse_to_load) == 2
    said = capsys.readouterr().err
    assert "what follows `bench` must be baseline, sustained," in said
    assert said.endswith("or memory, got 'nosuch'\n") and said.count("\n") == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_measurement_runs_on_a_gpu(name: str, tmp_path: Path):
    asked = ("--quick", "--frames", "2", "--rounds", "1", "--size", "64x64", "--batch", "1")
    assert main(["bench", name, *asked, "--device", "cuda", "--output-dir", str(tmp_path)]) == 0
    assert (tmp_path / "records.jsonl").stat().st_size > 0
