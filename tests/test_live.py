"""`sidestream live` from end to end, with a studio that inverts colours: real files, servers, signals and crashes."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from clips import write_clip
from inverting import InvertingStudio
from peers import Receiver, flat, free_port, http, rtsp, serving, transport
from sidestream.cli import main
from sidestream.live.studio import State
from sidestream.live.take import read_changes, source_of
from sidestream.media.open import open_source
from stage import stage

INK = ("--prompt", "ink")
PATTERN = "pattern:96x64"


@pytest.fixture
def live(capsys):
    """Runs the command in process. Returns the exit code, what was said, and the report."""

    def run(*arguments: object, studio: InvertingStudio | None = None):
        capsys.readouterr()
        code = main(
            ["live", *map(str, arguments), "--json", "-"],
            studio=lambda *given, **how: studio or InvertingStudio(),
        )
        said = capsys.readouterr()
        return code, said.err, json.loads(said.out) if said.out else {}

    return run


def levels(path: Path) -> list[float]:
    with open_source(path) as source:
        return [float(frame.pixels[20:].mean()) for frame in source]


def until(met, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


def later(seconds: float, *steps) -> threading.Thread:
    def work() -> None:
        for step in steps:
            time.sleep(seconds)
            step()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_pattern_into_a_file_at_a_steady_beat(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    code, said, report = live(PATTERN, out, *INK, "--seconds", 2, "--fps", 20)
    assert code == 0
    with open_source(out) as source:
        frames = list(source)
    times = [frame.seconds for frame in frames]
    assert np.allclose(np.diff(times), 0.05, atol=1e-3)
    assert report["frames_out"] >= len(frames) == report["sinks"][0]["written"]
    came = report["frames_in"] + report["frames_missed"]
    assert came == report["frames_shown"] + report["frames_dropped"]
    assert f"{came} frames in " in said and f"{report['frames_dropped']} left out for" in said
    assert 30 <= len(frames) <= 41
    assert frames[5].pixels.shape == (192, 288, 3)  # the working size of nano for this shape
    assert report["frames_shown"] > 10 and report["latency_p50"] < report["latency_p95"] + 1e-9
    assert f"{out}: " in said and "shown restyled" in said


def test_that_the_model_is_being_loaded_is_told_and_what_came_before_counted(live):
    studio = InvertingStudio(State("starting"))
    later(0.7, lambda: setattr(studio, "state", State("ok")))
    code, said, report = live(PATTERN, "none", *INK, "--seconds", 1, studio=studio)
    assert code == 0 and report["frames_before"] > 5
    assert "sidestream: the model is being loaded\n" in said
    assert f"{report['frames_before']} frames more came before the model was there" in said


def test_where_nothing_is_restyled_there_is_no_file(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    code, said, report = live(PATTERN, out, *INK, "--seconds", 1, studio=InvertingStudio(seconds=9))
    assert code == 0 and report["frames_shown"] == 0
    assert f"{out}: 0 frames, for nothing was restyled, " in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_as_if_live_with_its_sound(live, tmp_path: Path, make_av):
    out = tmp_path / "out.mp4"
    code, _, report = live(make_av(2.0), out, *INK)
    assert code == 0 and 45 <= report["frames_in"] <= 50
    with av.open(str(out)) as container:
        pictures = [f.time for f in container.decode(video=0)]
    with av.open(str(out)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert 1.5 < pictures[-1] < 4.5  # the last picture may be held for a while
    assert len(sound) / 48_000 == pytest.approx(pictures[-1], abs=0.2)
    assert np.abs(sound).max() > 0.3


@pytest.fixture
def make_av(tmp_path: Path):
    """A clip of moving colours with a tone."""

    def make(seconds: float) -> Path:
        path = tmp_path / "in.ts"
        path.write_bytes(transport(flat(60, round(seconds * 25)), sound=True))
        return path

    return make


def test_a_file_waits_for_the_model(live, make_av):
    studio = InvertingStudio(State("starting", "The model is being loaded."))
    later(1.5, lambda: setattr(studio, "state", State("ok")))
    code, _, report = live(make_av(2.0), "none", *INK, studio=studio)
    assert code == 0 and report["frames_before"] == 1
    assert report["frames_in"] + report["frames_missed"] == 49


def test_sound_is_as_late_as_the_picture(live, tmp_path: Path):
    """White flashes with a tone, twelve frames of twenty-five; the model takes 0.3 s and turns them black."""
    flashes = [n % 25 < 12 for n in range(100)]
    pictures = [flat(230 if on else 20, 1)[0] for on in flashes]
    path, out = tmp_path / "in.ts", tmp_path / "out.mkv"
    path.write_bytes(transport(pictures, sound=True, loud=lambda n: flashes[n]))
    code, _, report = live(path, out, *INK, studio=InvertingStudio(seconds=0.3))
    assert code == 0 and report["latency_p50"] > 0.3
    with open_source(out) as source:
        dark = [(f.seconds, f.pixels[100:].mean() < 128) for f in source]
    with av.open(str(out)) as container:
        wave = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    heard = np.abs(wave[: len(wave) // 480 * 480]).reshape(-1, 480).max(axis=1) > 0.1
    seen = [b[0] for a, b in pairwise(dark) if b[1] and not a[1] and b[0] > 1]
    begun = [n / 100 for n in range(len(heard)) if heard[n] and not heard[max(0, n - 5) : n].any()]
    assert len(seen) >= 2
    # A model at three pictures a second shows a flash up to a third of a second late.
    apart = [min(abs(moment - one) for one in begun) for moment in seen]
    assert max(apart) < 0.4, (seen, begun)


def test_sound_that_is_not_wanted(live, tmp_path: Path, make_av):
    out = tmp_path / "out.mkv"
    assert live(make_av(0.6), out, *INK, "--no-sound")[0] == 0
    with av.open(str(out)) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("talk", [http, rtsp])
def test_a_server_that_dies_and_returns_is_met_within_about_a_second(live, tmp_path: Path, talk):
    data = transport(flat(60, 50))
    scheme = "http" if talk is http else "rtsp"
    with serving(talk(data, 2.0)) as first:
        returned: list[float] = []
        again = []

        def back() -> None:
            again.append(serving(talk(data, 2.0), first.port))
            server = again[0].__enter__()
            returned.append(time.monotonic())
            until(lambda: server.clients > 0)
            returned.append(time.monotonic())

        later(1.5, first.kill, back)
        out = tmp_path / "out.mp4"
        address = f"{scheme}://127.0.0.1:{first.port}/cam"
        code, _said, report = live(address, out, *INK, "--seconds", 6)
        again[0].__exit__(None, None, None)
    assert code == 0
    assert report["reconnects"] >= 1
    assert returned[1] - returned[0] < 2.5
    assert report["frames_in"] > 60
    assert len(levels(out)) == report["sinks"][0]["written"] > 100  # the last picture was held


def test_a_source_that_stalls_and_returns(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    with serving(http(transport(flat(60, 50)), 2.0)) as server:
        later(1.5, server.stalled.set, lambda: None, lambda: None, server.stalled.clear)
        code, said, report = live(
            f"http://127.0.0.1:{server.port}/", out, *INK, "--seconds", 9, "--fps", 10
        )
    assert code == 0
    assert "the source is silent" in said and "source is back" in said
    assert report["reconnects"] >= 1
    found = levels(out)
    assert len(found) == report["sinks"][0]["written"] > 70
    assert min(found) > 150  # 255 - 60 throughout: never black, and never the source


@pytest.mark.parametrize(("taken", "handed_out"), [(False, (180, 320)), (True, (360, 640))])
def test_pictures_are_handed_out_as_large_as_needed_and_whole_to_a_take(
    live, tmp_path: Path, taken, handed_out
):
    clip = write_clip(tmp_path / "in.mp4", [np.full((360, 640, 3), 90, np.uint8)] * 12)
    studio = InvertingStudio()
    take = ("--take", tmp_path / "take") if taken else ()
    assert live(clip, "none", *INK, "--size", "320x160", *take, studio=studio)[0] == 0
    assert studio.seats[0].sizes == {handed_out}


def test_a_source_that_changes_its_size(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    data = transport(flat(60, 25)) + transport(flat(60, 25, (64, 96)))
    studio = InvertingStudio()
    with serving(http(data, 2.0)) as server:
        address = f"http://127.0.0.1:{server.port}/"
        code, _, _ = live(address, out, *INK, "--seconds", 3, studio=studio)
    assert code == 0
    assert studio.seats[0].sizes == {(64, 96), (96, 64)}
    with open_source(out) as source:
        assert len({frame.pixels.shape for frame in source}) == 1


def test_a_server_that_is_pushed_to_refuses_and_comes_back(live, tmp_path: Path):
    port = free_port()
    first = Receiver("rtmp", port, at_most=20)
    second: list[Receiver] = []
    later(2.5, lambda: second.append(Receiver("rtmp", port)))
    time.sleep(0.5)  # it begins to listen
    out = tmp_path / "out.mp4"
    code, said, report = live(PATTERN, first.url, "--also", out, *INK, "--seconds", 7)
    assert code == 0
    first.join()
    second[0].join()
    pushed, kept = report["sinks"]
    assert len(first.levels) >= 20 and len(second[0].levels) > 20
    assert pushed["reconnects"] >= 1 and pushed["dropped"] > 0
    assert report["frames_out"] - 15 <= kept["written"] <= report["frames_out"]
    assert kept["dropped"] == 0
    assert "/live/key" not in said + json.dumps(report)
    assert "rtmp://127.0.0.1" in said


def test_prompts_by_osc_and_by_cues_are_in_the_take(live, tmp_path: Path):
    (tmp_path / "cues.txt").write_text("0 ink\n1.0 oil\n")
    port = free_port_udp()
    steps = b"/sidestream/steps\0\0\0,i\0\0" + struct.pack(">i", 3)

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in (b"nonsense", steps):
                sender.sendto(packet, ("127.0.0.1", port))

    studio = InvertingStudio()
    later(1.6, send)
    code, _, report = live(
        PATTERN, "none", "--cues", tmp_path / "cues.txt", "--osc", port, "--seconds", 2.5,
        "--take", tmp_path / "take", studio=studio,
    )  # fmt: skip
    assert code == 0
    assert report["osc"] == {"received": 2, "malformed": 1}
    changes = read_changes(tmp_path / "take")
    assert [change.controls.prompt for change in changes] == ["ink", "oil", "oil"]
    assert [change.controls.steps for change in changes] == [1, 1, 3]
    assert changes[1].at == pytest.approx(1_000_000, abs=60_000)
    assert [controls.prompt for controls in studio.seats[0].history][-2:] == ["oil", "oil"]
    assert len(levels(tmp_path / "take" / "source.mp4")) == report["frames_in"]


def free_port_udp() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_loop_begins_again(live, tmp_path: Path):
    clip = write_clip(tmp_path / "in.mp4", 12)
    code, _, report = live(clip, "none", *INK, "--loop", "--seconds", 2)
    assert code == 0 and report["frames_in"] > 30 and report["reconnects"] == 0


def test_a_model_that_fails_is_told_and_the_picture_goes_on(live, tmp_path: Path):
    studio = InvertingStudio()
    later(0.8, lambda: setattr(studio, "state", State("degraded", "The model is loaded again.")))
    code, said, report = live(PATTERN, "none", *INK, "--seconds", 2, studio=studio)
    assert code == 0 and report["warnings"] == ["The model is loaded again."]
    assert said.count("The model is loaded again.") == 1
    assert studio.closed


def test_a_model_that_does_not_run_at_all(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    studio = InvertingStudio(State("failed", "no memory"))
    code, said, _ = live(PATTERN, out, *INK, studio=studio)
    assert code == 6
    assert said == "sidestream: the model does not run (no memory): try `sidestream doctor`\n"
    assert list(tmp_path.iterdir()) == [] and studio.closed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_file_and_says_what_was_done(tmp_path: Path, number, code: int):
    out = tmp_path / "out.mp4"
    process = stage("live", PATTERN, out, *INK)
    until(lambda: any(tmp_path.glob("out.part.mp4")))
    time.sleep(1.5)
    process.send_signal(number)
    begun = time.monotonic()
    said, error = process.communicate(timeout=30)
    assert time.monotonic() - begun < 10
    assert process.returncode == code, error
    assert "shown restyled" in said and "out.mp4: " in said
    assert len(levels(out)) > 10
    assert "Traceback" not in error


def test_what_a_killed_show_leaves_plays_and_its_take_can_be_rendered(tmp_path: Path, nano):
    process = stage("live", PATTERN, tmp_path / "out.mp4", *INK, "--take", tmp_path / "take")
    until(lambda: (tmp_path / "take" / "source.part.mp4").exists())
    time.sleep(3.5)
    process.kill()
    process.communicate(timeout=30)
    assert len(levels(tmp_path / "out.part.mp4")) > 30
    source = source_of(tmp_path / "take")
    assert source.name == "source.part.mp4" and len(levels(source)) > 30
    out = tmp_path / "again.mp4"
    code = main(
        ["render", str(tmp_path / "take"), str(out), "--size", "64x64", "--duration", "0.3"],
        load=borrow(nano),
    )
    assert code == 0 and len(levels(out)) > 5


def borrow(nano):
    from contextlib import nullcontext

    return lambda name, config: nullcontext(nano)


def test_a_full_disk_ends_the_show_and_keeps_what_is_whole(tmp_path: Path):
    out = tmp_path / "out.mp4"
    process = stage(
        "live", "pattern:640x360", out, *INK, "--seconds", 60,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        ),
    )  # fmt: skip
    _said, error = process.communicate(timeout=60)
    assert process.returncode == 4, error
    assert "out.mp4 could not be written" in error and "frames is in" in error
    assert len(levels(tmp_path / "out.part.mp4")) > 5
    assert "Traceback" not in error


def test_between_pictures_that_come_slowly_others_are_shown(live, tmp_path: Path):
    out = tmp_path / "out.mp4"
    how = (*INK, "--seconds", 3, "--fps", 25)
    studio = InvertingStudio(seconds=0.2)
    code, said, report = live(PATTERN, out, *how, "--interpolate", studio=studio)
    assert code == 0 and report["frames_between"] > 20
    assert f"{report['frames_between']} pictures between restyled ones" in said
    assert report["frames_shown"] < 16 and report["fps"] < 6
    found = levels(out)
    assert len(found) == report["sinks"][0]["written"] > 60


def test_lines_from_a_pipe_are_prompts_where_that_is_asked_for(tmp_path: Path):
    reader, writer = os.pipe()
    process = stage(
        "live",
        PATTERN,
        "none",
        *INK,
        "--stdin",
        "--seconds",
        3,
        "--take",
        tmp_path / "take",
        stdin=reader,
    )
    until(lambda: (tmp_path / "take" / "controls.jsonl").exists())
    time.sleep(0.7)
    os.write(writer, b"an oil painting\n")
    time.sleep(0.7)
    os.write(writer, b"x" * 401 + b"\n")
    _, error = process.communicate(timeout=30)
    os.close(reader)
    os.close(writer)
    assert process.returncode == 0, error
    assert [c.controls.prompt for c in read_changes(tmp_path / "take")] == [
        "ink",
        "an oil painting",
    ]
    assert "has 401 characters" in error


def test_secrets_are_nowhere(tmp_path: Path):
    """Of a source that dies and of a sink that refuses, after they were there."""
    secret = "hunter2"
    with serving(http(transport(flat(60, 25)), 1.0)) as server:
        process = stage(
            "live", f"http://me:{secret}@127.0.0.1:{server.port}/{secret}?token={secret}", tmp_path / "out.mp4",
            *INK, "--seconds", 5, "--take", tmp_path / "take", "--json", tmp_path / "report.json",
        )  # fmt: skip
        until(lambda: server.clients > 0)
        time.sleep(3)
        server.kill()
        said, error = process.communicate(timeout=40)
    assert process.returncode == 0, error
    assert "127.0.0.1" in (tmp_path / "report.json").read_text()
    assert secret not in said + error
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or secret.encode() not in file.read_bytes(), file


REFUSED = [
    (("foo://x", "none", *INK), 2, "a live source cannot be of the kind foo://"),
    (("camera:63", "none", *INK), 3, "there is no camera 63, or it is busy"),
    (("rtsp://127.0.0.1:1/x", "none", *INK), 3, "rtsp://127.0.0.1:1/... refuses connections"),
    (("srt://127.0.0.1:1", "none", *INK), 3, "this build of FFmpeg has no srt"),
    (("absent.mp4", "none", *INK), 3, "there is no file absent.mp4"),
    ((PATTERN, "rtmp://127.0.0.1:1/live/k", *INK), 4, "rtmp://127.0.0.1:1/... takes nothing"),
    ((PATTERN, "localhost:1935", *INK), 2, "the sink localhost: is not known: give a file"),
    ((PATTERN, "out.gif", *INK), 2, "live video goes into .mp4, .mov, .mkv"),
    ((PATTERN, "absent/out.mp4", *INK), 4, "there is no folder absent"),
    ((PATTERN, "virtualcam", *INK), 4, "pip install 'sidestream[virtualcam]'"),
    ((PATTERN, "ndi:stage", *INK), 4, "NDI needs cyndilib: pip install 'sidestream[ndi]'"),
    ((PATTERN, "none", "--also", "none", *INK), 2, "a sink is given twice"),
    ((PATTERN, "none"), 2, "how should the picture look? Give --prompt or --cues"),
    ((PATTERN, "none", *INK, "--cues", "c.txt"), 2, "--prompt and --cues both say"),
    ((PATTERN, "none", *INK, "--loop"), 2, "--loop is for files"),
    ((PATTERN, "none", *INK, "--fps", "99"), 2, "--fps must be from 1 to 60, got 99"),
    ((PATTERN, "none", *INK, "--seconds", "0"), 2, "--seconds must be from 0.1"),
    ((PATTERN, "none", *INK, "--output", "9999x99"), 2, "output_height must be from 16 to 4096"),
    ((PATTERN, "none", *INK, "--osc", "70000"), 2, "--osc must be from 0 to 65535"),
    ((PATTERN, "none", *INK, "--model", "mega"), 5, "there is no model 'mega'"),
    ((PATTERN, "none", *INK, "--take", "full"), 4, "full holds something already"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"), REFUSED, ids=lambda value: str(value)[:40]
)
def test_what_cannot_be(arguments, code: int, sentence: str, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for module in ("virtualcam", "ndi"):
        monkeypatch.setattr(f"sidestream.live.{module}.find_spec", lambda name: None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("precious")

    def refuse(*given, **how):
        raise AssertionError("what is asked for can be refused before a model is loaded")

    assert main(["live", *map(str, arguments)], studio=refuse) == code
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("sidestream: ") and said.err.count("\n") == 1
    assert sentence in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_a_page_says_where_it_is(live):
    port = free_port()
    code, said, _ = live(PATTERN, f"page:{port}", *INK, "--seconds", 0.5)
    assert code == 0 and f"the page is http://127.0.0.1:{port}/" in said
