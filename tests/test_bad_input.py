"""Whatever a user may give by mistake: one sentence, an exit code, and nothing left behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from clips import write_clip, write_sound
from commands import Runner, refuse_to_load
from pictures import sliding
from sidestream.cli import main
from sidestream.media.open import open_source

PROMPT = ("--prompt", "an oil painting")
SMALL = ("--size", "64x64")


@pytest.fixture
def run(nano, capsys) -> Runner:
    return Runner(nano, capsys)


@pytest.fixture
def refused(capsys, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """The exit code and the sentence of a `stylize` that must fail before a model is loaded."""

    def call(*arguments: object) -> tuple[int, str]:
        before = listing(tmp_path)
        code = main(["stylize", *map(str, arguments)], load=refuse_to_load)
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("sidestream: ") and said.err.count("\n") == 1
        assert listing(tmp_path) == before
        return code, said.err.removeprefix("sidestream: ").rstrip("\n")

    return call


def listing(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def nothing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("Dear reader,\nthis is no video.\n" * 100)


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(20_000))


def no_frames(path: Path) -> None:
    """An index that promises twelve pictures, and no data."""
    data = write_clip(path, faststart=True).read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])


def no_index(path: Path) -> None:
    data = write_clip(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def tiny(path: Path) -> None:
    write_clip(path, [np.zeros((8, 64, 3), np.uint8)] * 3)


def huge(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=1, width=4160, height=4160)
        stream.pix_fmt, stream.options = "gray", {"preset": "ultrafast"}
        output.mux(stream.encode(av.VideoFrame(4160, 4160, "gray")))
        output.mux(stream.encode())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (nothing, "there is no file"),
        (Path.mkdir, "has no pictures: give a folder with .bmp"),
        (empty, "is empty: give a video"),
        (text, "cannot be read as a video or a picture"),
        (noise, "cannot be read as a video or a picture"),
        (write_sound, "has no video stream"),
        (no_frames, "no picture of"),
        (no_index, "is incomplete (no index)"),
        (tiny, "is 64x8 pixels, at least 16 a side are needed"),
        (huge, "is 4160x4160 pixels, at most 16777216 are taken"),
    ],
)
def test_sources_that_cannot_be_read(refused, tmp_path: Path, make, sentence: str):
    make(tmp_path / "in.mp4")
    code, said = refused(tmp_path / "in.mp4", tmp_path / "out.mp4", *PROMPT)
    assert code == 3
    assert sentence in said


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4")


@pytest.mark.parametrize(
    ("target", "code", "sentence"),
    [
        ("absent/out.mp4", 4, "create it first"),
        ("out.xyz", 2, "unknown ending .xyz: use .gif, .jpeg, .jpg, .mkv, .mov, .mp4"),
        ("in.mp4", 2, "would replace the input"),
        ("there.mp4", 4, "exists: give another name or ask to overwrite"),
    ],
)
def test_outputs_that_cannot_be_written(refused, clip, tmp_path, target, code, sentence):
    (tmp_path / "there.mp4").write_text("precious")
    found, said = refused(clip, tmp_path / target, *PROMPT)
    assert found == code
    assert sentence in said


def test_an_existing_output_is_replaced_when_asked(run, clip, tmp_path: Path):
    (tmp_path / "out.mp4").write_text("old")
    done = run("stylize", clip, tmp_path / "out.mp4", *PROMPT, *SMALL, "--overwrite")
    assert done.code == 0
    assert len(list(open_source(tmp_path / "out.mp4"))) == 12


def test_a_folder_that_is_only_read(run, clip):
    done = run("stylize", clip, "/proc/out.mp4", *PROMPT, *SMALL)
    assert done.code == 4
    assert "cannot write to /proc" in done.err


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--prompt", "   "), 2, "the prompt is empty, got '   '"),
        (("--prompt", "x" * 401), 2, "has 401 characters, more than the 400 characters or 128"),
        ((), 2, "Give --prompt, --cues or --like"),
        ((*PROMPT, "--cues", "a.txt"), 2, "--prompt and --cues both say"),
        (("--cues", "absent.txt"), 2, "the cue file absent.txt cannot be read"),
        (("--like", "absent.mp4"), 3, "there is no file absent.mp4"),
        ((*PROMPT, "--model", "mega"), 5, "there is no model 'mega': give one of nano, dreamlite"),
        ((*PROMPT, "--steps", "0"), 2, "steps must be from 1 to 8, got 0"),
        ((*PROMPT, "--steps", "99"), 2, "steps must be from 1 to 8, got 99"),
        ((*PROMPT, "--size", "500x320"), 2, "width must be a multiple of 32 from 32 to 2048, got"),
        ((*PROMPT, "--size", "500x320"), 2, "got 500: use 480 or 512"),
        ((*PROMPT, "--size", "big"), 2, "size must look like 512x288, got 'big'"),
        ((*PROMPT, "--batch", "3"), 2, "batch must be one of (1, 2, 4, 8, 16), got 3"),
        ((*PROMPT, "--cond-every", "0"), 2, "cond_every must be 1 or more, got 0"),
        ((*PROMPT, "--hooks", "side_block"), 2, "hooks must be among"),
        ((*PROMPT, "--point", "fast"), 2, "operating point must be one of ('default', 'paper'"),
        ((*PROMPT, "--crf", "99"), 2, "crf must be from 0 to 51, got 99"),
        ((*PROMPT, "--start", "-1"), 2, "start must be 0 or more"),
        ((*PROMPT, "--duration", "0"), 2, "duration above 0, got 0.0 and 0.0"),
        ((*PROMPT, "--start", "60"), 3, "ends before 60 s: choose an earlier start"),
        ((*PROMPT, "--json", "absent/a.json"), 4, "there is no folder absent: create it first"),
    ],
)
def test_settings_that_cannot_be_used(refused, clip, tmp_path, flags, code: int, sentence: str):
    found, said = refused(clip, tmp_path / "out.mp4", *flags)
    assert found == code
    assert sentence in said


def test_a_file_of_another_program_has_no_settings(refused, clip, tmp_path):
    code, said = refused(clip, tmp_path / "out.mp4", "--like", clip)
    assert (code, said) == (
        2,
        f"{clip} holds no settings: give --like a file that sidestream wrote",
    )


def test_settings_come_from_one_place(refused, run, clip, tmp_path):
    first = tmp_path / "first.mp4"
    assert run("stylize", clip, first, *PROMPT, *SMALL).code == 0
    code, said = refused(clip, tmp_path / "out.mp4", "--like", first, "--point", "paper")
    assert code == 2
    assert "--like and --point both choose the settings" in said


def test_a_prompt_of_too_many_tokens(run, clip, tmp_path):
    """Only the model knows its tokens, so this one is refused once it is loaded."""
    done = run("stylize", clip, tmp_path / "out.mp4", "--prompt", "a b " * 99, *SMALL)
    assert done.code == 2
    assert "characters and" in done.err and "128 tokens" in done.err
    assert list(tmp_path.iterdir()) == [clip]


def test_a_video_that_ends_early_gives_what_it_has(run, tmp_path):
    data = write_clip(tmp_path / "in.mp4", 24, faststart=True).read_bytes()
    (tmp_path / "in.mp4").write_bytes(data[: len(data) * 3 // 4])
    arguments = ("stylize", tmp_path / "in.mp4", tmp_path / "out.mp4", *PROMPT, *SMALL)
    strict = run(*arguments, "--strict")
    assert strict.code == 3
    assert "the file ends early" in strict.err
    assert not (tmp_path / "out.mp4").exists()
    done = run(*arguments)
    assert done.code == 0
    assert "sidestream: warning: the file ends early" in done.err
    assert 0 < len(list(open_source(tmp_path / "out.mp4", strict=True))) < 24


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """A limit on the size of files, which fails like a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_is_whole(run, tmp_path):
    clip = write_clip(tmp_path / "in.mp4", sliding(48))
    with little_room(40_000):
        done = run("stylize", clip, tmp_path / "out.mp4", *PROMPT, "--size", "128x96")
    assert done.code == 4
    assert "out.mp4 could not be written (File too large): what is whole of" in done.err
    kept = tmp_path / "out.part.mp4"
    assert str(kept) in done.err
    assert 0 < len(list(open_source(kept))) < 48


def test_a_report_that_cannot_be_written(run, clip, tmp_path):
    (tmp_path / "report").mkdir()
    done = run("models", "--json", tmp_path / "report")
    assert done.code == 4
    assert "could not be written (Is a directory)" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("metrics", "absent.mp4", "absent.mp4"), 3, "there is no file absent.mp4"),
        (("stylize", "absent.mp4", "out.mp4", "--prompt", "x"), 3, "there is no file absent.mp4"),
    ],
)
def test_the_process_says_one_line_and_no_traceback(tmp_path, arguments, code, sentence):
    done = subprocess.run(
        [sys.executable, "-m", "sidestream", *arguments],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"sidestream: {sentence}: check the name\n"
