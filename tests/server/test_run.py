"""Before it listens and when it is told to stop: refusals, the address it says, certificates, the command."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from aiortc import rtcrtpreceiver

from server.conftest import BASE
from server.fakes import FakeStudio
from sidestream.cli import main
from sidestream.cli_live import told_name
from sidestream.config_live import ServerConfig
from sidestream.errors import ConfigError
from sidestream.server import decoders, losses, peer, run


def test_a_port_that_is_taken_is_refused_in_a_sentence():
    with run.listen(ServerConfig(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 cannot be used"):
            run.listen(ServerConfig(port=port))


def test_a_host_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match="--host"):
        run.listen(ServerConfig(host="no such host"))
    with pytest.raises(ConfigError, match=r"--host|cannot be used"):
        run.listen(ServerConfig(host="203.0.113.1"))


@pytest.mark.parametrize(
    ("config", "tell_token", "address", "lines"),
    [
        (ServerConfig(), False, "open http://127.0.0.1:9/", 2),
        (ServerConfig(host="::1"), False, "open http://[::1]:9/", 2),
        (ServerConfig(host="192.0.2.1", token="t" * 16), False, "open http://192.0.2.1:9/", 3),
        (ServerConfig(host="192.0.2.1", token="t" * 16), True, f"open http://192.0.2.1:9/#token={'t' * 16}", 3),
        (ServerConfig(host="192.0.2.1", token="t" * 16, tls=True), True, f"open https://192.0.2.1:9/#token={'t' * 16}", 3),
    ],
)  # fmt: skip
def test_it_says_where_to_go(config, tell_token, address, lines):
    said = run.greeting(config, 9, tell_token=tell_token)
    assert (said[0], len(said)) == (address, lines)
    assert said[-1].endswith("Ctrl-C ends")


def test_listening_everywhere_it_says_an_address_that_others_can_open():
    said = run.greeting(ServerConfig(host="0.0.0.0", token="t" * 16), 9)
    assert re.fullmatch(r"open http://[\w.-]+:9/", said[0])
    assert "0.0.0.0" not in said[0]


@pytest.mark.parametrize(
    ("over_tls", "token"),
    [(False, None), (True, None), (False, "random"), (False, "canary-of-16-and-more")],
)
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, over_tls: bool, token: str | None):
    studio, said = FakeStudio(), list[str]()
    config = ServerConfig(port=0, tls=over_tls, tls_folder=tmp_path, token=token)
    seen: list[int] = []

    def visit() -> None:
        while not said:
            time.sleep(0.01)
        address = said[0].removeprefix("open ").partition("#")[0]
        trusting = ssl._create_unverified_context() if over_tls else None
        with urllib.request.urlopen(f"{address}healthz", context=trusting, timeout=20) as answer:
            seen.append(answer.status)
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit)
    visitor.start()
    run.serve(lambda: studio, config, BASE, "fake", say=said.append)
    visitor.join()
    assert seen == [200]
    assert ("#token=" in said[0]) == (token == "random")  # nobody else knows that one yet
    assert getattr(rtcrtpreceiver.get_decoder, "func", None) is decoders.decoder
    assert rtcrtpreceiver.NackGenerator is losses.Requests
    assert studio.closed and studio.state.health == "draining"


def test_a_refusal_comes_before_the_model_is_loaded():
    def never() -> FakeStudio:
        raise AssertionError("what is asked for can be refused before a model is loaded")

    for config in (
        ServerConfig(host="0.0.0.0"),
        replace(ServerConfig(), host="no such host", token="t" * 16),
    ):
        with pytest.raises(ConfigError):
            run.serve(never, config, BASE, "fake")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--host", "0.0.0.0"), "set SIDESTREAM_TOKEN, or give --token random"),
        (
            ("--allow-host", "studio.example"),
            "--allow-host studio.example lets others in, and there is no token",
        ),
        (("--port", "70000"), "--port must be from 0 to 65535, got 70000"),
        (("--seats", "99"), "--seats must be from 1 to 16, got 99"),
        (("--token", "short"), "--token must have 16 characters or more, or be random, got 5"),
        (("--turn", "http://x"), "--turn must begin with turn:, got 'http://x'"),
        (("--turn-user", "me"), "--turn-user is of no use without a TURN server: name that"),
        (("--allow-origin", "x"), "--allow-origin must be like https://studio.example"),
        (("--stun", "x"), "--stun must begin with stun:, got 'x'"),
        (("--prompt", " "), "the prompt is empty"),
    ],
)
def test_the_command_refuses_in_one_sentence(arguments, sentence, capsys, monkeypatch):
    monkeypatch.delenv("SIDESTREAM_TOKEN", raising=False)
    assert main(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_model_that_is_not_there_is_refused_before_anything_is_opened(capsys):
    assert main(["serve", "--model", "nobody"]) == 5
    assert "there is no model 'nobody'" in capsys.readouterr().err


def test_callers_are_told_a_folders_name_and_not_its_place(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    assert told_name(str(tmp_path / "mine")) == "mine"
    assert told_name("nano") == "nano" and told_name("owner/name") == "owner/name"


def test_the_command_takes_its_token_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("SIDESTREAM_TOKEN", "short")
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "got 5" in capsys.readouterr().err


def test_without_the_extra_the_command_says_what_to_install():
    hidden = "import sys; sys.modules['aiortc'] = None; from sidestream.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'sidestream[server]'" in done.stderr


def test_stun_and_turn_are_told_to_both_ends():
    config = ServerConfig(stun="stun:a.example", turn="turn:b.example", turn_user="me")
    assert peer.ice_servers(config, "secret") == [
        {"urls": "stun:a.example"},
        {"urls": "turn:b.example", "username": "me", "credential": "secret"},
    ]


def test_pictures_have_room_for_brush_strokes():
    from aiortc.codecs import h264, vpx

    peer.raise_bitrates()
    assert vpx.MAX_BITRATE == h264.MAX_BITRATE == peer.BITRATES[1]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_second_signal_while_the_model_loads_ends_it_quietly(number: signal.Signals, code: int):
    command = [sys.executable, "-m", "sidestream", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        time.sleep(0.05)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(20) == code
    assert said == b""


def test_told_to_stop_before_and_after_there_is_a_server_it_closes_all():
    class Slow(FakeStudio):
        def drain(self, seconds: float) -> None:
            signal.raise_signal(signal.SIGHUP)

    studio = Slow()

    def opened() -> FakeStudio:
        signal.raise_signal(signal.SIGTERM)
        return studio

    with pytest.raises(SystemExit) as left:
        run.serve(opened, ServerConfig(port=0), BASE, "fake")
    assert left.value.code == 129
    assert studio.closed
