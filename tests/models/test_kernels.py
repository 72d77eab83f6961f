"""Where kernels are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sidestream import __version__
from sidestream.models import kernels

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SIDESTREAM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(kernels.VARIABLE, "")
    return tmp_path


def test_each_model_version_and_device_has_a_folder(home: Path):
    folder = kernels.keep("some/model of mine", CPU)
    assert folder.is_relative_to(home) and folder.is_dir()
    assert os.environ[kernels.VARIABLE] == str(folder)
    assert folder.name.startswith("some_model_of_mine-")
    assert __version__ in folder.name and f"torch_{torch.__version__}" in folder.name
    assert folder.name.endswith("-cpu")


def test_a_second_model_has_its_own_folder(home: Path):
    first, second = kernels.keep("nano", CPU), kernels.keep("twin", CPU)
    assert first.name.startswith("nano-") and second.name.startswith("twin-")
    assert os.environ[kernels.VARIABLE] == str(second)
    assert kernels.keep("nano", CPU) == first


def test_nobody_else_may_write_there():
    assert kernels.keep("nano", CPU).stat().st_mode & 0o077 == 0


def test_a_folder_that_the_user_named_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(kernels.VARIABLE, str(tmp_path / "mine"))
    assert kernels.keep("nano", CPU) == tmp_path / "mine"
    assert (tmp_path / "mine").is_dir()
    assert os.environ[kernels.VARIABLE] == str(tmp_path / "mine")


def test_a_home_that_cannot_be_written_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert not kernels.keep("nano", CPU).exists()
    assert os.environ[kernels.VARIABLE] == ""


@pytest.mark.slow
def test_kernels_are_found_again_by_the_next_process(home: Path):
    program = """
import sys, torch
from sidestream.models import kernels
from sidestream.models.compile import compiled
kernels.keep("nano", torch.device("cpu"))
double = compiled(lambda x: (x + x).sqrt(), "inductor")
double(torch.ones(9))
from torch._dynamo.utils import counters
print(counters["inductor"]["fxgraph_cache_hit"])
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert said == ["0\n", "1\n"]
    assert any(path.is_file() for path in (home / "sidestream" / "kernels").rglob("*"))
