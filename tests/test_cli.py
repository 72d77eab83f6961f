"""The command: its flags, what it prints, how it stops."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

import sidestream
from clips import write_clip
from commands import Runner, refuse_to_load
from pictures import sliding
from sidestream import Stylizer
from sidestream.cli import main
from sidestream.config import OPERATING_POINTS, ModelConfig, Schedule, Size, StreamConfig
from sidestream.config_live import ShowConfig
from sidestream.console import Printer, progress_bar, stopping, time_left
from sidestream.cues import Cues
from sidestream.media.open import open_source
from sidestream.recipe import Again, FileOptions, Recipe

COMMANDS = [
    "demo",
    "stylize",
    "live",
    "render",
    "models",
    "doctor",
    "metrics",
    "eval",
    "bench",
    "train",
]
SMALL = ("--size", "64x64")


@pytest.fixture
def run(nano: Stylizer, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(nano, capsys)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4")


def names(config: type) -> set[str]:
    nested = {"stream", "loading", "file", "schedule"}
    return {field.name for field in fields(config)} - nested


def test_version(run: Runner):
    done = run("--version")
    assert (done.code, done.out) == (0, f"sidestream {sidestream.__version__}\n")


@pytest.mark.parametrize(
    ("command", "config"),
    [
        *(("stylize", config) for config in (StreamConfig, Schedule, ModelConfig, FileOptions)),
        *(("live", config) for config in (ShowConfig, StreamConfig, ModelConfig)),
        *(("render", config) for config in (Again, FileOptions)),
    ],
)
def test_every_setting_is_a_flag_with_its_help(run, monkeypatch, command: str, config: type):
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.sub(r"[\s│]+", " ", run(command, "--help").out)
    for name in names(config):
        found = re.search(rf"--{name.replace('_', '-')}\b(.*?)\(default", shown)
        assert found and len(found[1].split()) >= 4, name


def test_help_names_every_operating_point(run: Runner):
    shown = run("stylize", "--help").out
    assert all(name in shown for name in OPERATING_POINTS)


def test_the_help_of_every_command_is_light():
    code = (
        "import sys; from sidestream.cli import main\n"
        f"for name in {COMMANDS}: assert main([name, '--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'av', 'cv2', 'diffusers', 'transformers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    assert done.stdout.splitlines()[-1] == "[]"
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < len(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing subcommand"),
        (("paint",), "paint"),
        (("stylize", "a.mp4"), "Required"),
        (("stylize", "a", "b", "--stepz", "3"), "--stepz"),
        (("stylize", "a", "b", "--steps", "many"), "many"),
        (("stylize", "a", "b", "--fit", "bend"), "bend"),
        (("live", "pattern", "none", "--batch", "4"), "--largest-batch"),
        (("serve", "--batch", "4"), "--largest-batch"),
    ],
)
def test_usage_errors(run: Runner, arguments: tuple[str, ...], said: str):
    done = run(*arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def settings_of(run: Runner, clip: Path, *arguments: object) -> dict:
    """What a run was configured to, by its report."""
    done = run("stylize", clip, f"{clip.parent}/out/", "--overwrite", "--json", "-", *arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)["configuration"]


def test_flags_win_over_an_operating_point(run: Runner, clip: Path):
    point = ("--prompt", "x", "--point", "paper")
    found = settings_of(run, clip, *SMALL, *point, "--cond-every", 2)["stream"]
    assert (found["batch"], found["flow"], found["fit"]) == (8, "farneback", "square")
    assert found["schedule"]["cond_every"] == 2
    assert found["schedule"]["cut_threshold"] is None


def test_a_file_is_made_again_like_another(run: Runner, clip: Path, tmp_path: Path):
    first, again = tmp_path / "first.mkv", tmp_path / "again.mkv"
    how = ("--prompt", "an oil painting", "--seed", 7, "--steps", 2, "--blend", 0.5, *SMALL)
    assert run("stylize", clip, first, *how).code == 0
    assert run("stylize", clip, again, "--like", first).code == 0
    pictures = [[frame.pixels for frame in open_source(path)] for path in (first, again)]
    assert len(pictures[0]) == 12
    assert all((a == b).all() for a, b in zip(*pictures, strict=True))


def test_flags_win_over_another_file(run: Runner, clip: Path, tmp_path: Path):
    first = tmp_path / "first.mkv"
    assert run("stylize", clip, first, "--prompt", "day", "--seed", 7, *SMALL).code == 0
    found = settings_of(run, clip, "--like", first, "--prompt", "night", "--steps", 2)
    assert found["prompt"] == "night"
    assert (found["stream"]["seed"], found["stream"]["steps"]) == (7, 2)


def test_words_make_room_for_json(run: Runner, clip: Path, tmp_path: Path):
    done = run("stylize", clip, tmp_path / "a.mp4", "--prompt", "x", *SMALL, "--json", "-")
    report = json.loads(done.out)
    assert report["frames_out"] == 12
    assert {"fps", "step_fps", "spans_ms", "refreshes", "environment"} < set(report)
    assert re.fullmatch(r"12 frames in .* fps \(.* in rendering alone\), in .*a\.mp4\n", done.err)


@pytest.mark.parametrize("command", ["models", "metrics"])
def test_every_command_writes_json(run: Runner, clip: Path, tmp_path: Path, command: str):
    given = [clip, clip] if command == "metrics" else []
    done = run(command, *given, "--json", tmp_path / "report.json")
    assert done.code == 0 and done.out
    assert json.loads((tmp_path / "report.json").read_text())


def test_models_are_listed_with_their_licences(run: Runner):
    lines = run("models").out.splitlines()
    assert lines[0].split() == ["name", "size", "on", "this", "machine", "licence", "about"]
    assert re.match(r"nano +256x256 +yes +Apache-2.0", lines[1])
    assert any(re.match(r"dreamlite-mobile +512x512 +(yes|no) +CC BY-NC 4.0", one) for one in lines)


def test_steadiness_is_shown_beside_sharpness(run: Runner, clip: Path, tmp_path: Path):
    other = write_clip(tmp_path / "out.mp4", sliding(9, width=64, height=64))
    done = run("metrics", clip, other)
    assert done.code == 0
    names = done.out.splitlines()[0].split()
    assert {"warping_error", "sobel", "hf_fft"} < set(names)
    assert [line.partition(":")[0] for line in done.out.splitlines()[2:]] == names
    assert "has 12 frames and" in done.err and "the first 9 of both are compared" in done.err


def test_a_part_is_measured_against_the_same_part(run: Runner, clip: Path, tmp_path: Path):
    out, part = tmp_path / "out.mp4", ("--start", 0.25, "--duration", 0.25)
    same = ("--prompt", "x", "--strength", 0, "--size", "64x64", "--crf", 0, "--fit", "stretch")
    assert run("stylize", clip, out, *same, *part).code == 0
    done = run("metrics", clip, out, "--json", "-")
    assert "is compared with its source from 0.25 s to 0.5 s, as it was made" in done.err
    assert "has 12 frames" not in done.err
    assert json.loads(done.out)["frames"] == 6


def test_side_by_side_is_not_measured(run: Runner, clip: Path, tmp_path: Path):
    out = tmp_path / "out.mp4"
    run("stylize", clip, out, "--prompt", "x", *SMALL, "--compare", "side", "--duration", 0.04)
    done = run("metrics", clip, out)
    assert done.code == 2
    assert "shows the input beside the result" in done.err


def test_what_another_file_decides_is_told(run: Runner, clip: Path, tmp_path: Path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    recipe = Recipe(
        prompt=Cues.parse("0 day"), model="twin", stream=StreamConfig(size=Size(64, 64))
    )
    (theirs / "settings.json").write_text(json.dumps(recipe.metadata()))
    done = run("stylize", clip, tmp_path / "out.mp4", "--like", theirs, "--prompt", "night")
    assert done.code == 0
    assert "sidestream: the model is twin\n" in done.err
    assert f"--prompt is taken in place of the cues in {theirs}" in done.err


def test_one_frame_is_one_frame(run: Runner, clip: Path, tmp_path: Path):
    done = run("stylize", clip, tmp_path / "a.mp4", "--prompt", "x", *SMALL, "--duration", 0.04)
    assert done.out.startswith("1 frame in ")


def test_the_demo_writes_two_files_in_one_pass(run: Runner, tmp_path: Path):
    done = run("demo", "--seconds", 0.25, *SMALL, "--output-dir", tmp_path / "out")
    assert done.code == 0
    assert "6 frames in" in done.out
    alone, beside = (
        [frame.pixels for frame in open_source(tmp_path / "out" / name)]
        for name in ("sidestream-demo.mp4", "sidestream-demo-side.mp4")
    )
    assert len(alone) == len(beside) == 6
    assert (alone[0].shape, beside[0].shape) == ((64, 64, 3), (64, 128, 3))
    assert run("demo", "--seconds", 0.1, *SMALL, "--output-dir", tmp_path / "out").code == 0


@pytest.mark.parametrize("seconds", [0, 61])
def test_a_demo_has_a_length(run: Runner, tmp_path: Path, seconds: int):
    done = run("demo", "--seconds", seconds, *SMALL, "--output-dir", tmp_path / "out")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])
    assert "seconds must be from 0.1 to 60" in done.err


def test_an_evaluation_says_what_is_wanted_and_found(run: Runner, clip: Path, tmp_path: Path):
    folder, out = clip.parent, tmp_path / "out"
    asked = ("--clips", folder, "--output-dir", out, "--quick", "--frames", 2, *SMALL)
    done = run("eval", "nano", *asked, "--json", tmp_path / "found.json")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["what", "wanted", "found", "met"]
    found = {one["what"]: one for one in json.loads((tmp_path / "found.json").read_text())}
    assert found["oil: distance left"]["wanted"] == "0.5 or less"
    assert f"the report is {out / 'report.md'}" in done.out
    assert {"records.jsonl", "report.md", "unseen.png"} < {path.name for path in out.iterdir()}


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("--clips", "nowhere"), 3, "there is no folder nowhere"),
        (("--model", "nowhere"), 5, "there is no model 'nowhere'"),
        (("--frames", "1"), 2, "--frames must be from 2 to 240"),
        (("--size", "100x64"), 2, "width must be a multiple of 32"),
    ],
)
def test_an_evaluation_that_cannot_be_made(capsys, asked: tuple[str, ...], code: int, said: str):
    assert main(["eval", "nano", *asked], load=refuse_to_load) == code
    assert said in capsys.readouterr().err


def test_an_evaluation_takes_our_own_clips_where_none_are_given(capsys, tmp_path: Path):
    def load(name: str, config: ModelConfig):
        raise KeyboardInterrupt

    asked = ["eval", "nano", *SMALL, "--output-dir", str(tmp_path)]
    assert main(asked, load=load) == 130
    assert capsys.readouterr().err == "sidestream: stopped\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_drawn_table_and_a_bar():
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen):
        Printer(None).table([{"name": "nano", "here": "yes"}])
        with progress_bar() as progress:
            progress(3, 12)
    assert "│ nano" in screen.getvalue()
    assert "3/12" in screen.getvalue() and "fps" in screen.getvalue()


@pytest.mark.parametrize(
    ("number", "stop"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, SystemExit),
        (signal.SIGHUP, SystemExit),
    ],
)
def test_the_second_signal_stops_what_is_done(number: signal.Signals, stop: type[BaseException]):
    before = signal.getsignal(number)
    with pytest.raises(stop), stopping() as caught:
        signal.raise_signal(number)
        assert caught == [number]
        try:
            signal.raise_signal(number)
        finally:
            assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_a_terminal_that_is_closed_means_nothing_to_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as caught:
            signal.raise_signal(signal.SIGHUP)
        assert caught == []
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("done", "expected", "passed", "said"),
    [
        (8, 64, 1.0, ""),
        (8, 64, 11.5, "0:01:20 left"),
        (64, 64, 90.0, ""),
        (8, None, 90.0, ""),
    ],
)
def test_the_time_left_is_told_once_the_pace_is_known(done, expected, passed, said):
    assert time_left(done, expected, passed) == said


def test_loading_is_told_where_nobody_watches(clip: Path):
    out = clip.parent / "out.mp4"
    command = [sys.executable, "-m", "sidestream", "stylize", clip, out, "--prompt", "x", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("sidestream: loading nano\n")
    assert done.stdout.startswith("12 frames in ")


def test_an_interrupt_while_the_model_is_loaded(clip: Path, capsys):
    def load(name: str, config: ModelConfig):
        raise KeyboardInterrupt

    arguments = ["stylize", str(clip), str(clip.parent / "out.mp4"), "--prompt", "x"]
    assert main(arguments, load=load) == 130
    assert capsys.readouterr().err == "sidestream: stopped\n"
    assert list(clip.parent.iterdir()) == [clip]


@dataclass
class Interrupted:
    """nano, with a signal that comes when the stream is opened."""

    nano: Stylizer
    number: signal.Signals

    def __getattr__(self, name: str):
        return getattr(self.nano, name)

    def open(self, *given: object):
        signal.raise_signal(self.number)
        return self.nano.open(*given)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_file_and_is_told(nano, clip, tmp_path, capsys, number, code):
    out = tmp_path / "out.mp4"
    stylizer = nullcontext(Interrupted(nano, number))
    arguments = ["stylize", str(clip), str(out), "--prompt", "x", *SMALL]
    assert main(arguments, load=lambda name, config: stylizer) == code
    assert f"stopped after 1 of 12 frames; {out} holds them" in capsys.readouterr().err
    assert len(list(open_source(out, strict=True))) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_running_process_ends_its_file(tmp_path: Path, number: signal.Signals, code: int):
    """On a terminal of its own, whose progress bar says when frames are there."""
    clip, out = write_clip(tmp_path / "in.mp4", sliding(16) * 25), tmp_path / "out.mp4"
    command = [sys.executable, "-m", "sidestream", "stylize", clip, out, "--prompt", "x", *SMALL]
    screen, terminal = os.openpty()
    with subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL) as process:
        os.close(terminal)
        seen = shown_until(screen, rb"\b[1-9]\d*/400")
        process.send_signal(number)
        asked = time.monotonic()
        seen += shown_until(screen, rb"holds them")
        assert process.wait(20) == code
    assert time.monotonic() - asked < 5
    os.close(screen)
    told = re.search(rb"stopped after (\d+) of 400 frames", seen)
    assert told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    assert len(list(open_source(out, strict=True))) == int(told[1])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_leaves_nothing_behind(nano, clip, tmp_path, number, code):
    out, parts = tmp_path / "out.mp4", list[Path]()

    @contextmanager
    def opened(*given: object):
        with nano.open(*given) as stream:
            run = stream.run

            def twice(frames: object):
                for styled in run(frames):
                    parts.extend(tmp_path.glob("*.part.mp4"))
                    signal.raise_signal(number)
                    signal.raise_signal(number)
                    yield styled

            stream.run = twice
            yield stream

    stylizer = SimpleNamespace(built=nano.built, open=opened)
    before = sorted(tmp_path.iterdir())
    arguments = ["stylize", str(clip), str(out), "--prompt", "x", *SMALL]
    assert main(arguments, load=lambda name, config: nullcontext(stylizer)) == code
    assert len(parts) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_terminal_that_is_closed_ends_the_file_and_the_process(tmp_path: Path):
    clip, out = write_clip(tmp_path / "in.mp4", sliding(16) * 25), tmp_path / "out.mp4"
    command = ["-m", "sidestream", "stylize", clip, out, "--prompt", "x", *SMALL]
    screen, terminal = os.openpty()

    def own_terminal() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        [sys.executable, *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=own_terminal,
    ) as process:
        os.close(terminal)
        shown_until(screen, rb"\b[1-9]\d*/400")
        os.close(screen)
        assert process.wait(60) == 129
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    assert 0 < len(list(open_source(out, strict=True))) < 400


@pytest.mark.parametrize("arguments", [("models", "--json", "-"), ("--version",), ("--help",)])
def test_what_nobody_reads_ends_quietly(arguments: tuple[str, ...]):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sidestream", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def shown_until(screen: int, pattern: bytes) -> bytes:
    seen = b""
    while not re.search(pattern, seen):
        try:
            seen += os.read(screen, 4096)
        except OSError:  # the process has closed its end
            break
    return seen
