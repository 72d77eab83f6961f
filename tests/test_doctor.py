"""What doctor finds here, and what it advises where something is missing."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest

from sidestream import doctor
from sidestream.cli import main
from sidestream.errors import ModelError
from sidestream.models import components, zoo


def broken(name: str, config: object):
    raise ModelError("its weights are gone: install the package again")


def test_a_machine_that_runs_nano_is_well(capsys):
    assert main(["doctor", "--json", "-"]) == 0
    done = capsys.readouterr()
    found = {check["name"]: check for check in json.loads(done.out)}
    assert {
        "python",
        "torch",
        "av",
        "device",
        "libx264",
        "libopus",
        "openvino",
        "server",
        "virtualcam",
        "ndi",
        "camera",
        "optical flow",
        "memory",
    } < set(found)
    assert found["nano"] == {
        "name": "nano",
        "state": "works",
        "found": "restyled 2 frames",
        "advice": "",
    }
    assert not [check for check in found.values() if check["state"] == "fails"]
    assert "libx264" in done.err


def test_a_machine_that_cannot_run_nano_is_not(capsys):
    code = main(["doctor"], load=broken)
    out = capsys.readouterr().out
    assert code == 1
    assert "ModelError: its weights are gone" in out
    assert "nano: see the checks above" in out


def test_what_is_not_installed_and_not_needed_is_a_note(monkeypatch):
    monkeypatch.setattr(doctor, "versions", dict.fromkeys)
    assert doctor.openvino().state == "note"


def test_what_is_live_is_looked_at_too(tmp_path, monkeypatch: pytest.MonkeyPatch):
    assert doctor.extra("server", ("json",), "run `serve`").state == "works"
    missing = doctor.extra("server", ("json", "no_such_library"), "run `serve`")
    assert (missing.state, missing.found) == ("note", "not installed: no_such_library")
    assert missing.advice == "to run `serve`: pip install 'sidestream[server]'"
    assert doctor.camera(tmp_path).found == "none"
    (tmp_path / "video0").touch()
    assert (doctor.camera(tmp_path).state, doctor.camera(tmp_path).found) == ("works", "video0")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert doctor.camera(tmp_path).state == "note"


def test_every_failure_comes_with_advice():
    failures = [
        doctor.library("no-such-library"),
        doctor.codec("no-such-codec", "write .xyz"),
        doctor.nano(broken),
    ]
    assert [check.state for check in failures] == ["fails"] * 3
    assert failures[2].found == "ModelError: its weights are gone: install the package again"
    assert failures[0].advice == "install it: pip install --force-reinstall no-such-library"
    assert failures[1].advice.startswith("sidestream cannot write .xyz; install it again")
    assert all(check.advice for check in failures)


def test_without_its_libraries_nothing_else_is_looked_at():
    found = doctor.checks(broken, ["numpy", "no-such-library"])
    assert [check.name for check in found] == ["python", "numpy", "no-such-library"]
    assert not doctor.nano_works(found)


def test_little_room_is_worth_a_note():
    assert doctor.memory(10**9).state == doctor.disk(10**6).state == "note"
    assert doctor.memory(10**10).state == doctor.disk(10**10).state == "works"
    assert doctor.memory(None).state == "note"


def test_weights_are_looked_for_without_a_network():
    twin, absent = zoo.MODELS["twin"], zoo.find("nobody/has-this-model")
    assert doctor.weights(twin).found == "on this machine"
    check = doctor.weights(absent)
    assert check.found == "not on this machine"
    assert "the first use downloads" in check.advice


def test_weights_that_are_on_this_machine_are_found(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A cache of the hub, as it lies on disk."""
    from huggingface_hub import constants

    commit = "0" * 40
    repository = tmp_path / "models--owner--model"
    snapshot = repository / "snapshots" / commit
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for part in ("unet", "vae"):
        (snapshot / part).mkdir(parents=True)
        (snapshot / part / "model.safetensors").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert not components.is_here(zoo.find("owner/model"))
    (snapshot / "text_encoder").mkdir()
    (snapshot / "text_encoder" / "model.safetensors").touch()
    assert components.is_here(zoo.find("owner/model"))


def test_nano_is_really_run(nano):
    check = doctor.nano(lambda name, config: nullcontext(nano))
    assert doctor.nano_works([check])
    assert not doctor.nano_works([])
