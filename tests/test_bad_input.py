"""Whatever a user may give by mistake: one sentence, an exit code, and nothing left behind."""

from __future__ import annotations

import json
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
from sidestream.config import ModelConfig
from sidestream.flags import Stylize
from sidestream.media.open import open_source
from sidestream.parsing import parse
from sidestream.recipe import Recipe

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
        (text, "): give a video, a picture or a folder of pictures"),
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
        ("there.mp4", 4, "exists: give another name or --overwrite"),
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
        (("--prompt", "x" * 401), 2, "has 401 characters, more than the 400 that are read"),
        ((), 2, "Give --prompt, --cues or --like"),
        ((*PROMPT, "--cues", "a.txt"), 2, "--prompt and --cues both say"),
        (("--cues", "absent.txt"), 2, "the cue file absent.txt cannot be read"),
        (("--like", "absent.mp4"), 3, "there is no file absent.mp4"),
        ((*PROMPT, "--model", "mega"), 5, "there is no model 'mega': give one of nano, dreamlite"),
        ((*PROMPT, "--steps", "four"), 2, "--steps must be a whole number, got 'four'"),
        ((*PROMPT, "--strength", "x"), 2, "--strength must be a number, got 'x'"),
        ((*PROMPT, "--fit", "x"), 2, "--fit must be crop, pad, stretch or square, got 'x'"),
        ((*PROMPT, "--steps", "0"), 2, "steps must be from 1 to 8, got 0"),
        ((*PROMPT, "--steps", "99"), 2, "steps must be from 1 to 8, got 99"),
        ((*PROMPT, "--size", "500x320"), 2, "width must be a multiple of 32 from 32 to 2048, got"),
        ((*PROMPT, "--size", "500x320"), 2, "got 500: use 480 or 512"),
        ((*PROMPT, "--size", "big"), 2, "size must look like 512x288, got 'big'"),
        ((*PROMPT, "--batch", "3"), 2, "batch must be 1, 2, 4, 8 or 16, got 3"),
        ((*PROMPT, "--cond-every", "0"), 2, "--cond-every must be 1 or more, got 0"),
        (
            (*PROMPT, "--hooks", "side_block"),
            2,
            "hooks must be among down_blocks, mid_block or up_blocks, got side_block",
        ),
        (
            (*PROMPT, "--point", "fast"),
            2,
            "operating point must be default, paper, low_latency or quality",
        ),
        ((*PROMPT, "--crf", "99"), 2, "crf must be from 0 to 51, got 99"),
        ((*PROMPT, "--start", "-1"), 2, "--start must be from 0 to 10000000, got -1.0"),
        ((*PROMPT, "--start", "nan"), 2, "--start must be from 0 to 10000000, got nan"),
        ((*PROMPT, "--start", "1e400"), 2, "--start must be from 0 to 10000000, got inf"),
        ((*PROMPT, "--duration", "0"), 2, "--duration must be above 0 and at most 10000000, got 0"),
        ((*PROMPT, "--duration", "inf"), 2, "and at most 10000000, got inf"),
        ((*PROMPT, "--model", "m" * 300), 5, "there is no model 'mmm"),
        ((*PROMPT, "--revision", "v1"), 2, "has a revision, and nano is built in: leave"),
        (
            (*PROMPT, "--adapter", "absent.safetensors"),
            5,
            "cannot be read (No such file or directory)",
        ),
        ((*PROMPT, "--output-size", "source", "--size", "64x64"), 2, "64x64 cannot be scaled back"),
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


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("out.png",), 4, "a picture file holds one frame"),
        (("/",), 4, "exists: give another name"),
        (("out.webm", "--faststart"), 2, "faststart is for .mp4 and .mov"),
        (("o" * 300 + ".mp4",), 4, "too long"),
    ],
)
def test_what_the_kind_of_output_cannot_do(refused, clip, tmp_path, flags, code, sentence):
    found, said = refused(clip, tmp_path / flags[0], *flags[1:], *PROMPT)
    assert (found, sentence in said) == (code, True), said


def test_an_adapter_that_is_none(refused, clip, tmp_path):
    adapter = tmp_path / "adapter.safetensors"
    adapter.write_bytes(b"\xff" * 64)
    code, said = refused(clip, tmp_path / "out.mp4", *PROMPT, "--adapter", adapter)
    assert (code, "is not a whole safetensors file" in said) == (5, True)


@pytest.mark.parametrize("name", ["in.mp4", "./in.mp4", "link.mp4", "out.mp4", "cues.txt", "b.mp4"])
def test_a_report_replaces_no_other_file(refused, clip, tmp_path, name):
    (tmp_path / "cues.txt").write_text("0 a")
    (tmp_path / "link.mp4").symlink_to(clip)
    (tmp_path / "b.mp4").hardlink_to(clip)
    out = tmp_path / "out.mp4"
    code, said = refused(clip, out, "--cues", tmp_path / "cues.txt", "--json", tmp_path / name)
    assert code == 2
    assert "the report" in said and "would replace" in said


def test_a_report_replaces_no_picture_and_no_settings(refused, clip, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "000000.png").write_bytes(b"precious")
    for name in ("pictures/000000.png", "pictures/settings.json", "pictures.json"):
        flags = (*PROMPT, "--overwrite", "--json", tmp_path / name)
        code, said = refused(clip, pictures, *flags)
        assert (code, "would replace" in said) == (2, True)


@pytest.mark.parametrize("name", [".", "absent/a.json", "a" * 300])
def test_a_report_that_has_no_place(refused, clip, tmp_path, name):
    code, said = refused(clip, tmp_path / "out.mp4", *PROMPT, "--json", tmp_path / name)
    assert code == 4
    assert "is a folder" in said or "there is no folder" in said or "cannot be a file" in said


def pictures_of(tmp_path: Path, recipe: Recipe, **changes: str) -> Path:
    """A folder of pictures with the settings that a stranger may have put there."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(recipe.metadata() | changes))
    return folder


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (
            Recipe(prompt="x", model="evil/repo"),
            "was made with model 'evil/repo': give `--model evil/repo` yourself to use it",
        ),
        (
            Recipe(prompt="x", loading=ModelConfig(adapter="/evil code.safetensors")),
            "give `--adapter '/evil code.safetensors'` yourself to use it",
        ),
    ],
)
def test_a_file_chooses_no_code_and_no_download(refused, clip, tmp_path, recipe, sentence):
    theirs = pictures_of(tmp_path, recipe)
    code, said = refused(clip, tmp_path / "out.mp4", "--like", theirs)
    assert (code, sentence in said) == (2, True), said


def test_a_model_that_is_given_is_no_choice_of_the_file(tmp_path):
    own = ModelConfig(device="cuda:7", compile=True, flow_threads=9, offline=True, dtype="float16")
    theirs = pictures_of(tmp_path, Recipe(prompt="x", model="evil/repo", loading=own))
    arguments = ["stylize", "a", "b", "--like", str(theirs), "--model", "evil/repo"]
    command = parse(arguments)
    assert isinstance(command, Stylize)
    assert command.model == "evil/repo"
    assert command.loading == ModelConfig(dtype="float16")


@pytest.mark.parametrize(
    "changes",
    [{"settings": "[" * 100_000}, {"settings": '{"stream": 1e999}'}, {"prompt": ""}],
)
def test_settings_that_no_run_has_written(refused, clip, tmp_path, changes):
    theirs = pictures_of(tmp_path, Recipe(prompt="x"), **changes)
    code, said = refused(clip, tmp_path / "out.mp4", "--like", theirs)
    assert code == 2
    assert len(said) < 600


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000])
def test_settings_beside_that_are_none(refused, clip, tmp_path, text):
    theirs = pictures_of(tmp_path, Recipe(prompt="x"))
    (theirs / "settings.json").write_bytes(text)
    code, _ = refused(clip, tmp_path / "out.mp4", "--like", theirs)
    assert code == 3


def test_what_a_file_holds_does_not_reach_the_terminal(refused, clip, tmp_path):
    evil = "sidestream \x1b]0;owned\x07\x9b2J"
    theirs = pictures_of(tmp_path, Recipe(prompt="x"), software=evil, settings="{}")
    _, said = refused(clip, tmp_path / "out.mp4", "--like", theirs)
    assert r"written by sidestream \x1b]0;owned\x07\x9b2J, this is" in said
    _, said = refused(tmp_path / "\x1b[2J.mp4", tmp_path / "out.mp4", *PROMPT)
    assert "\x1b" not in said and r"\x1b[2J.mp4" in said


def test_a_demo_needs_a_folder(tmp_path, capsys):
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        code = main(["demo", "--output-dir", f"{tmp_path}/{name}"], load=refuse_to_load)
        assert code == 4
        assert "cannot be made" in capsys.readouterr().err


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
    assert "has 198 tokens, more than the 128 that are read" in done.err
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


def test_a_report_that_cannot_be_written(run, clip):
    done = run("models", "--json", "/proc/report")
    assert done.code == 4
    assert "/proc/report could not be written (" in done.err


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
