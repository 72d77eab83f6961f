"""A take made again: the same every time, each change at the frame where it happened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from commands import Runner
from pictures import sliding
from sidestream import Stylizer
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.live.take import CONTROLS, PART, SOURCE, TakeRecorder
from sidestream.media.capture import frame_at
from sidestream.media.open import open_source
from sidestream.recipe import Again, FileOptions, Recipe
from sidestream.retake import Take, retake
from sidestream.types import Controls

STREAM = StreamConfig(size=Size(64, 64), batch=4)
RECIPE = Recipe(prompt="an oil painting", stream=STREAM)
OIL = Controls(prompt="an oil painting", size=STREAM.size)
CHANGED = 7


@pytest.fixture
def run(nano, capsys) -> Runner:
    return Runner(nano, capsys)


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Twelve frames at uneven times; from the eighth on other words, and a seed."""
    folder = tmp_path / "take"
    frames = [frame_at(p, 50 + n / 24 + n % 3 / 200, n) for n, p in enumerate(sliding(12))]
    recorder = TakeRecorder(folder, RECIPE.metadata(), frames[0], Fraction(24), sound=False)
    for n, frame in enumerate(frames):
        if n == 0:
            recorder.note(frame, OIL)
        if n == CHANGED:
            recorder.note(frame, replace(OIL, prompt="a pencil sketch", seed=5))
        recorder.record(frame)
    recorder.close()
    return folder


def pixels(path: Path) -> list[np.ndarray]:
    with open_source(path) as source:
        return [frame.pixels for frame in source]


def fingerprint(path: Path) -> str:
    return hashlib.sha256(b"".join(one.tobytes() for one in pixels(path))).hexdigest()


def test_it_is_the_same_every_time_and_keeps_its_times(run: Runner, take: Path, tmp_path: Path):
    again = ("--steps", 2, "--size", "96x64")
    for name in ("a.mp4", "b.mp4"):
        done = run("render", take, tmp_path / name, *again, "--json", "-")
        assert done.code == 0, done.err
    assert fingerprint(tmp_path / "a.mp4") == fingerprint(tmp_path / "b.mp4")
    report = json.loads(done.out)
    assert report["frames_out"] == 12 and report["configuration"]["changes"] == 2
    with open_source(take / SOURCE) as source, open_source(tmp_path / "a.mp4") as made:
        before, after = list(source), list(made)
    assert [f.seconds for f in after] == pytest.approx([f.seconds for f in before], abs=1e-6)
    assert after[0].pixels.shape == (64, 96, 3)


def test_a_change_is_made_at_its_frame_and_at_no_other(nano: Stylizer, take: Path, tmp_path: Path):
    """Beside the same source without the change, in batches that end where it happens."""
    found = Take.read(take, Again(batch=1))
    plain = replace(found, changes=found.changes[:1])
    for name, one in (("with.png/", found), ("without.png/", plain)):
        retake(nano, one, f"{tmp_path}/{name}")
    made, other = pixels(tmp_path / "with.png"), pixels(tmp_path / "without.png")
    differs = [not np.array_equal(a, b) for a, b in zip(made, other, strict=True)]
    assert differs == [False] * CHANGED + [True] * (12 - CHANGED)


def test_a_part_begins_with_what_held_then(nano: Stylizer, take: Path, tmp_path: Path):
    found = Take.read(take, Again(batch=1))

    class Opened:
        controls = OIL

    opened = Opened()
    with open_source(take / SOURCE, start=8.5 / 24) as source:
        controls = [
            opened.controls
            for _ in found.perform(iter(source), opened)  # type: ignore[arg-type]
        ]
    assert {one.prompt for one in controls} == {"a pencil sketch"} and len(controls) == 3


def test_steps_and_seed_hold_throughout(take: Path):
    found = Take.read(take, Again(steps=4, seed=9, size=Size(128, 64)))
    assert {(c.controls.steps, c.controls.seed) for c in found.changes} == {(4, 9)}
    assert {c.controls.size for c in found.changes} == {Size(128, 64)}
    assert (found.recipe.stream.steps, found.recipe.stream.seed) == (4, 9)
    as_it_was = Take.read(take, Again())
    assert [c.controls.seed for c in as_it_was.changes] == [42, 5]


def test_only_what_the_user_names_is_fetched(take: Path):
    alter(take, model="dreamlite-mobile", revision="evil")
    found = Take.read(take, Again()).recipe.loading
    assert (found.offline, found.revision) == (True, "evil")
    named = Take.read(take, Again(model="dreamlite-mobile")).recipe.loading
    assert (named.offline, named.revision) == (False, None)


def test_a_recording_that_was_cut_off(run: Runner, take: Path, tmp_path: Path):
    (take / SOURCE).rename(take / PART)
    done = run("render", take, tmp_path / "out.mp4")
    assert done.code == 0 and "was cut off" in done.err


def test_a_result_says_how_it_was_made(run: Runner, take: Path, tmp_path: Path):
    assert run("render", take, tmp_path / "out.mp4", "--steps", 2).code == 0
    done = run("stylize", take / SOURCE, tmp_path / "like.mp4", "--like", tmp_path / "out.mp4")
    assert done.code == 0
    assert len(pixels(tmp_path / "like.mp4")) == 12


@pytest.mark.parametrize(
    ("change", "arguments", "code", "sentence"),
    [
        (lambda take: None, ("--steps", 9), 2, "steps must be from 1 to 8"),
        (lambda take: None, ("--size", "100x64"), 2, "width must be a multiple of 32"),
        (lambda take: None, ("--batch", 3), 2, "batch must be 1, 2, 4, 8 or 16"),
        (lambda take: None, ("--model", "mega"), 5, "there is no model 'mega'"),
        (lambda take: (take / CONTROLS).unlink(), (), 3, "cannot be read"),
        (lambda take: (take / SOURCE).unlink(), (), 3, "has no source.mp4"),
        (lambda take: (take / SOURCE).write_bytes(b""), (), 3, "is empty"),
        (
            lambda take: (
                (take / SOURCE).rename(take / "x") and (take / SOURCE).symlink_to(take / "x")
            ),
            (),
            3,
            "is a link",
        ),
        (lambda take: (take / "settings.json").unlink(), (), 2, "holds no settings"),
        (lambda take: alter(take, model="evil/code"), (), 2, "give `--model` yourself"),
        (
            lambda take: alter(take, model="dreamlite-mobile"),
            (),
            5,
            "give --model dreamlite-mobile",
        ),
        (lambda take: alter(take, adapter="/tmp/evil.safetensors"), (), 2, "only a model's own"),
    ],
)
def test_what_cannot_be_made(run: Runner, take, tmp_path, change, arguments, code, sentence):
    change(take)
    done = run("render", take, tmp_path / "out.mp4", *arguments)
    assert done.code == code, done.err
    assert sentence in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


def alter(
    take: Path, model: str = "nano", adapter: str = "default", revision: str | None = None
) -> None:
    recipe = replace(RECIPE, loading=ModelConfig(adapter=adapter, revision=revision))
    (take / "settings.json").write_text(json.dumps({**recipe.metadata(), "model": model}))


def test_the_target_may_not_be_the_take(run: Runner, take: Path):
    before = (take / SOURCE).read_bytes()
    assert run("render", take, take / SOURCE, "--overwrite").code == 2
    assert (take / SOURCE).read_bytes() == before


def test_a_stop_keeps_what_is_done(nano: Stylizer, take: Path, tmp_path: Path):
    found = Take.read(take, Again(batch=1))
    report = retake(nano, found, tmp_path / "out.mp4", FileOptions(), stop=lambda: True)
    assert report.stopped and len(pixels(tmp_path / "out.mp4")) == 1
