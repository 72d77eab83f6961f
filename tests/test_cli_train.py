"""The train command, without training: its flags, its refusals, what it shows while it works."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest

from commands import Runner
from sidestream import Stylizer, console
from sidestream.config import TrainConfig
from sidestream.console import stages
from sidestream.errors import ConfigError
from sidestream.models.nano import FOLDER
from sidestream.train import steadying


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(nano: Stylizer, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(nano, capsys)


class Asked:
    """In place of a course: notes what was asked for, and is stopped where a signal comes."""

    def __init__(self, signalled: signal.Signals | None = None) -> None:
        self.signalled = signalled
        self.asked: list[tuple[object, ...]] = []

    def __call__(self, config: TrainConfig, told, stop) -> Asked:
        self.config, self.stop = config, stop
        self.model_folder = config.folder / "model"
        return self

    def nano(self, start: Path | None) -> bool:
        return self._note("nano", start)

    def adapter(self, start: Path) -> bool:
        return self._note("adapter", start)

    def lllite(self, start: Path) -> bool:
        return self._note("lllite", start)

    def _note(self, *what: object) -> bool:
        self.asked.append(what)
        if self.signalled:
            signal.raise_signal(self.signalled)
        return not self.stop()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(steadying, "SteadyCourse", asked)
    return asked


def test_every_setting_is_a_flag_with_its_help(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.sub(r"[\s│]+", " ", run("train", "--help").out)
    for field in fields(TrainConfig):
        assert re.search(rf"--{field.name.replace('_', '-')}[ ,]", shown)


def test_nano_is_trained_in_the_folder_that_is_given(run, asked: Asked, tmp_path: Path):
    folder, report = tmp_path / "a" / "b", tmp_path / "report.json"
    done = run("train", "nano", "--folder", folder, "--steps", 8, "--json", report)
    assert (done.code, done.out) == (0, f"trained: {folder / 'model'}\n")
    assert asked.asked == [("nano", None)]
    assert asked.config == TrainConfig(folder=folder, steps=8)
    assert json.loads(report.read_text()) == {"folder": str(folder / "model"), "finished": True}


@pytest.mark.parametrize("what", ["nano", "adapter", "lllite"])
def test_training_goes_on_from_a_model_folder(run, asked: Asked, tmp_path: Path, what: str):
    out = tmp_path / "out"
    assert run("train", what, "--model", tmp_path, "--folder", out).code == 0
    assert run("train", what, "--model", "nano", "--folder", out).code == 0
    assert asked.asked == [(what, tmp_path), (what, FOLDER)]


def test_an_adapter_is_for_nano_unless_told(run, asked: Asked, tmp_path: Path):
    assert run("train", "adapter", "--folder", tmp_path).code == 0
    assert asked.asked == [("adapter", FOLDER)]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_stopped_says_how_it_goes_on(run, asked: Asked, tmp_path: Path, sent, code: int):
    asked.signalled = sent
    done = run("train", "nano", "--folder", tmp_path)
    assert (done.code, done.out) == (
        code,
        f"stopped; the same command goes on from here: {tmp_path}\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nano", "--pictures", 2), "--pictures must be 8 or more, got 2"),
        (("nano", "--adapter-steps", 0), "--adapter-steps must be 1 or more, got 0"),
        (("nano", "--seed", -1), "--seed must be from 0 to"),
        (("nano", "--model", "mine"), "there is no model folder mine: give nano, or the folder"),
        (("adapter", "--model", "mine"), "there is no model folder mine: give nano, or the folder"),
    ],
)
def test_mistakes_are_named_before_anything_is_made(
    run, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, sentence: str
):
    monkeypatch.chdir(tmp_path)
    done = run("train", *arguments)
    assert (done.code, done.err.count("\n")) == (ConfigError.exit_code, 1)
    assert done.err.startswith(f"sidestream: {sentence}")
    assert asked.asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_log_gets_a_line_now_and_then(capsys, monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 10.0, 31.0, 32.0, 33.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with stages() as told:
        for done in (1, 2, 3, 4):
            told("small", done, 4, {"loss": 0.51234})
        told("large", 1, 2, {})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "small: 1 of 4 loss 0.5123",
        "small: 3 of 4 loss 0.5123",
        "small: 4 of 4 loss 0.5123",
        "large: 1 of 2",
    ]


def test_a_terminal_gets_a_bar_a_stage(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with stages() as told:
        told("small", 1, 4, {"loss": 0.5})
        told("small", 4, 4, {"loss": 0.25})
        told("large", 1, 2, {})
    shown = terminal.getvalue()
    assert all(piece in shown for piece in ("small", "4/4", "loss 0.25", "large", "1/2"))
