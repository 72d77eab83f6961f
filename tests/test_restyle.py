"""One file in, one file out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import write_clip
from sidestream import Size, StreamConfig, Stylizer
from sidestream.cues import Cues
from sidestream.engine import Engine
from sidestream.errors import ConfigError, PromptError, SourceError
from sidestream.media.metadata import read_metadata
from sidestream.media.open import open_source
from sidestream.recipe import FileOptions, Recipe
from sidestream.report import Meter, versions
from sidestream.restyle import restyle
from sidestream.seams import EditModel

RECIPE = Recipe(prompt="an oil painting", stream=StreamConfig(size=Size(64, 64)))


def read(path: Path) -> np.ndarray:
    with open_source(path, strict=True) as source:
        return np.stack([frame.pixels for frame in source])


def lanes() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("sidestream-lane")]


def cut_off(path: Path) -> Path:
    """A video whose index is whole and whose last pictures are missing."""
    data = write_clip(path, 24, faststart=True).read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


def test_as_many_frames_come_out_as_go_in_at_the_same_times(nano, clip, out):
    report = restyle(nano, clip, out, RECIPE)
    with open_source(clip) as before, open_source(out, strict=True) as after:
        times = [[frame.seconds for frame in source] for source in (before, after)]
        assert after.rate == before.rate
    assert times[0] == pytest.approx(times[1])
    assert (report.frames_in, report.frames_out, report.frames_expected) == (12, 12, 12)


def test_the_result_is_a_restyled_picture_of_the_working_size(nano, clip, out):
    restyle(nano, clip, out, RECIPE)
    assert read(out).shape == (12, 64, 64, 3)


def test_without_a_size_the_model_and_the_source_choose_one(nano, clip, tmp_path):
    restyle(nano, clip, f"{tmp_path}/out/", Recipe(prompt="x"), FileOptions(duration=0.05))
    height, width = read(tmp_path / "out").shape[1:3]
    assert width / height == pytest.approx(96 / 64, rel=0.1)
    assert width * height == pytest.approx(256 * 256, rel=0.3)


def test_the_input_stands_beside_the_result(nano, clip, tmp_path):
    options = FileOptions(compare="side")
    alone = replace(RECIPE, stream=StreamConfig(size=Size(96, 64)))
    restyle(nano, clip, f"{tmp_path}/side/", alone, options)
    restyle(nano, clip, f"{tmp_path}/alone/", alone)
    side = read(tmp_path / "side")
    assert side.shape == (12, 64, 192, 3)
    assert (side[:, :, :96] == read(clip)).all()
    assert (side[:, :, 96:] == read(tmp_path / "alone")).all()


def test_a_part_of_the_source_is_taken(nano, clip, out):
    report = restyle(nano, clip, out, RECIPE, FileOptions(start=0.25, duration=0.125))
    assert report.frames_out == report.frames_expected == 3


def test_the_result_is_scaled_back_to_the_source(nano, clip, out):
    recipe = replace(RECIPE, stream=StreamConfig(size=Size(64, 32), fit="stretch"))
    restyle(nano, clip, out, recipe, FileOptions(output_size="source"))
    assert read(out).shape == (12, 64, 96, 3)


def test_scaling_back_does_not_distort(nano, clip, out):
    with pytest.raises(ConfigError, match="64x64 cannot be scaled back to 96x64"):
        restyle(nano, clip, out, RECIPE, FileOptions(output_size="source"))
    assert not out.exists()


def test_stopping_keeps_what_is_done(nano, clip, out):
    done = []
    report = restyle(
        nano,
        clip,
        out,
        RECIPE,
        progress=lambda count, expected: done.append((count, expected)),
        stop=lambda: len(done) == 5,
    )
    assert done == [(count, 12) for count in range(1, 6)]
    assert report.stopped
    assert len(read(out)) == report.frames_out == 5


def test_a_file_says_how_it_was_made(nano, clip, out):
    restyle(nano, clip, out, RECIPE)
    found = read_metadata(out)
    assert found["prompt"] == "an oil painting"
    assert found["seed"] == "42"
    assert found["model"] == "nano"
    assert found["licence"] == "Apache-2.0"
    settled = Recipe.of(found, "out.mp4")
    assert settled.stream.batch is not None
    assert replace(settled, stream=replace(settled.stream, batch=None)) == RECIPE


def test_the_report_tells_what_was_done(nano, clip, out):
    report = restyle(nano, clip, out, RECIPE)
    assert report.fps == pytest.approx(12 / report.wall_seconds)
    step = sum(
        report.spans_ms[name].ms * report.spans_ms[name].count
        for name in ("conditioning", "denoise", "decode", "join", "finish")
    )
    assert report.step_fps == pytest.approx(12_000 / step)
    assert report.step_fps > report.fps
    assert report.spans_ms["denoise"].count == 2  # twelve frames in batches of eight
    assert report.encoder_calls == 12
    assert report.refreshes["start"] == 1
    assert report.failed_frames == report.recompiles == 0
    assert report.peak_memory_mb > 100
    assert report.configuration["stream"]["size"] == "64x64"
    assert len(report.environment["device"]) > len("cpu ")
    assert report.environment["torch"]
    assert not report.stopped


def test_a_run_counts_only_itself(nano):
    meter = Meter(nano.built)
    report = meter.report(0, expected=None, configuration={}, warnings=[], stopped=False)
    assert (report.frames_in, report.encoder_calls, report.step_fps) == (0, 0, 0)
    assert report.spans_ms == report.refreshes == {}


def test_a_missing_library_has_no_version():
    assert versions(["no-such-library"]) == {"no-such-library": None}


def test_damage_at_the_end_is_reported(nano, tmp_path, out):
    clip = cut_off(tmp_path / "in.mp4")
    report = restyle(nano, clip, out, RECIPE)
    assert 0 < report.frames_out < 24
    assert "the file ends early" in report.warnings[0]


@pytest.mark.parametrize("name", ["out.mp4", "out/"])
def test_an_error_leaves_no_output_and_no_lane(nano, tmp_path, name):
    clip = cut_off(tmp_path / "in.mp4")
    with pytest.raises(SourceError, match="the file ends early"):
        restyle(nano, clip, f"{tmp_path}/{name}", RECIPE, FileOptions(strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert lanes() == []


def test_an_error_in_the_middle_of_rendering_ends_everything(nano, tmp_path, out):
    clip = write_clip(tmp_path / "in.mp4", 48)

    def progress(done: int, expected: int | None) -> None:
        if done == 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        restyle(nano, clip, out, RECIPE, progress=progress)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert lanes() == []


@dataclass
class Failing:
    """nano, until it has denoised twice."""

    model: EditModel
    denoised: int = 0

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def denoise(self, *given) -> torch.Tensor:
        self.denoised += 1
        if self.denoised > 2:
            raise ZeroDivisionError
        return self.model.denoise(*given)


def test_an_error_of_the_model_ends_everything(nano, tmp_path, out):
    clip = write_clip(tmp_path / "in.mp4", 48)
    built = nano.built
    engine = Engine(Failing(built.model), built.engine.adapter, built.device, torch.float32)
    with (
        Stylizer(replace(built, engine=engine)) as stylizer,
        pytest.raises(ZeroDivisionError) as caught,
    ):
        restyle(stylizer, clip, out, RECIPE)
    assert caught.value.__traceback__
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert lanes() == []


def test_a_later_cue_that_cannot_be_read_is_refused_at_once(nano, clip, out):
    cues = Cues.parse(f"0 a\n9 {'word ' * 79}")
    with pytest.raises(PromptError, match="tokens"):
        restyle(nano, clip, out, replace(RECIPE, prompt=cues))
    assert not out.exists()


def test_settings_out_of_a_file_are_not_trusted():
    good = RECIPE.metadata()
    bad = [
        {key: value for key, value in good.items() if key != "settings"},
        good | {"settings": "{"},
        good | {"settings": "[]"},
        good | {"settings": good["settings"].replace('"steps": 1', '"steps": "1"')},
        good | {"settings": good["settings"].replace('"steps": 1', '"steps": 99')},
        good | {"settings": good["settings"].replace('"steps"', '"stairs"')},
        good | {"settings": good["settings"].replace('"crop"', '"chop"')},
        good | {"settings": good["settings"].replace('"64x64"', "64")},
    ]
    for metadata in bad:
        with pytest.raises(ConfigError, match=r"a\.mp4"):
            Recipe.of(metadata, "a.mp4")
    assert Recipe.of(good, "a.mp4") == RECIPE


def test_a_file_says_which_part_of_its_source_it_shows():
    part = FileOptions(start=2.5, duration=4.0, compare="side")
    assert FileOptions.of(RECIPE.metadata(replace(part, crf=30)), "a.mp4") == part
    assert (
        FileOptions.of(RECIPE.metadata(), "a.mp4") == FileOptions.of({}, "a.mp4") == FileOptions()
    )
    for settings in ("[]", '{"file": 1}', '{"file": {"start": NaN}}'):
        with pytest.raises(ConfigError, match=r"a\.mp4 cannot be used"):
            FileOptions.of({"settings": settings}, "a.mp4")


def test_versions_are_told_apart_only_where_they_differ():
    damaged = RECIPE.metadata() | {"settings": "{}"}
    with pytest.raises(ConfigError) as same:
        Recipe.of(damaged, "a.mp4")
    with pytest.raises(ConfigError, match="it was written by sidestream 9, this is sidestream"):
        Recipe.of(damaged | {"software": "sidestream 9"}, "a.mp4")
    assert "written by" not in str(same.value)


def test_many_frames_pass_through_few_lanes(nano, tmp_path, out):
    """A picture of one colour a frame, shown as it is, comes out in its order."""
    levels = [np.full((64, 64, 3), 10 * n, np.uint8) for n in range(20)]
    clip = write_clip(tmp_path / "in.mp4", levels)
    stream = StreamConfig(size=Size(64, 64), strength=0.0, batch=8)
    restyle(nano, clip, out, replace(RECIPE, stream=stream))
    shown = read(out).mean(axis=(1, 2, 3))
    assert shown == pytest.approx([10 * n for n in range(20)], abs=3)
