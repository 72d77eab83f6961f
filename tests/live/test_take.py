"""Takes: what a source gave and what was asked for, whole after a crash."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config_live import ShowLimits
from sidestream.errors import SidestreamError, SinkError, SourceError
from sidestream.live.take import (
    CONTROLS,
    PART,
    SOURCE,
    Change,
    TakeRecorder,
    begin_folder,
    controls_at,
    read_changes,
    source_of,
)
from sidestream.media.capture import Sound, frame_at
from sidestream.media.metadata import read_metadata
from sidestream.media.open import open_source
from sidestream.types import Controls

INK = Controls(prompt="ink")
LINE = {"at": 0, "prompt": "ink", "strength": 1.0, "stability": 1.0, "steps": 1, "seed": 42}


def frame(n: int, level: int = 90, size: tuple[int, int] = (64, 96)):
    return frame_at(np.full((*size, 3), level, np.uint8), 1000 + n * 0.04 + (n % 3) * 0.001, n)


def recorded(folder: Path, *, sound: bool = False) -> TakeRecorder:
    return TakeRecorder(folder, {"prompt": "ink"}, frame(0), Fraction(25), sound=sound)


def test_a_take_has_every_frame_and_every_change_with_their_times(tmp_path: Path):
    take = recorded(tmp_path / "take")
    for n in range(20):
        if n == 0:
            take.note(frame(n), INK)
        if n == 7:
            take.note(frame(n), replace(INK, prompt=(("ink", 0.25), ("oil", 0.75)), steps=2))
        take.record(frame(n, size=(64, 96) if n < 15 else (48, 48)))
    take.close()
    assert take.dropped == 0 and take.error == ""
    with open_source(source_of(tmp_path / "take")) as source:
        times = [round(f.seconds * 1e6) for f in source]
    assert times == [n * 40_000 + n % 3 * 1000 for n in range(20)]
    changes = read_changes(tmp_path / "take")
    assert [change.at for change in changes] == [0, times[7]]
    assert controls_at(changes, times[6]) == INK
    assert controls_at(changes, times[7]).prompt == (("ink", 0.25), ("oil", 0.75))
    assert controls_at(changes, 10**12).steps == 2
    assert read_metadata(tmp_path / "take") == {"prompt": "ink"}


def test_sound_is_kept(tmp_path: Path):
    take = recorded(tmp_path / "take", sound=True)
    take.note(frame(0), INK)
    for n in range(50):
        take.hear(Sound(np.full((2, 1920), 0.25, np.float32), 1000 + n * 0.04))
        take.record(frame(n))
        time.sleep(0.004)  # a camera would take longer, and what is much faster is dropped
    take.close()

    with av.open(str(tmp_path / "take" / SOURCE)) as container:
        heard = sum(one.samples for one in container.decode(audio=0)) / 48_000
    assert heard == pytest.approx(2.0, abs=0.1)


def test_a_take_never_replaces_anything(tmp_path: Path):
    (tmp_path / "take").mkdir()
    (tmp_path / "take" / "letter.txt").write_text("precious")
    with pytest.raises(SinkError, match="holds something already"):
        begin_folder(tmp_path / "take")
    with pytest.raises(SinkError, match="cannot be made"):
        begin_folder(tmp_path / "take" / "letter.txt" / "x")


def test_what_a_killed_recording_left(tmp_path: Path):
    (tmp_path / PART).write_bytes(b"fragments")
    whole = json.dumps(LINE) + "\n"
    (tmp_path / CONTROLS).write_text(whole + whole.replace('"at": 0', '"at": 5') + whole[:30])
    assert source_of(tmp_path).name == PART
    assert [change.at for change in read_changes(tmp_path)] == [0, 5]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not say how the take begins"),
        (json.dumps({**LINE, "at": 5}) + "\n", "does not say how the take begins"),
        ("hello\n", "line 1 is no change of controls"),
        ("[]\n", "line 1 is no change of controls (no object)"),
        (json.dumps({**LINE, "steps": 9}) + "\n", "steps must be from 1 to 8"),
        (json.dumps({**LINE, "steps": True}) + "\n", "'True' is no int"),
        (json.dumps({**LINE, "size": "1x1"}) + "\n", "all controls are needed"),
        (json.dumps({"at": 0}) + "\n", "all controls are needed"),
        (json.dumps({**LINE, "at": -1}) + "\n", "all controls are needed"),
        (json.dumps({**LINE, "prompt": [["a", "b"]]}) + "\n", "'b' is no float"),
        (json.dumps({**LINE, "prompt": 7}) + "\n", "is no change of controls"),
        ("[" * 5000 + "\n", "is no change of controls"),
        (
            json.dumps(LINE)
            + "\n"
            + json.dumps({**LINE, "at": 9})
            + "\n"
            + json.dumps(LINE)
            + "\n",
            "not in the order of time",
        ),
        ("x" * 20_000, "has a line of more than 16384 bytes"),
    ],
)
def test_a_take_may_come_from_anybody(tmp_path: Path, text: str, sentence: str):
    (tmp_path / CONTROLS).write_text(text)
    with pytest.raises(SourceError) as refused:
        read_changes(tmp_path)
    assert sentence in str(refused.value)


def test_the_number_of_changes_is_bounded(tmp_path: Path):
    (tmp_path / CONTROLS).write_text((json.dumps(LINE) + "\n") * 3)
    assert len(read_changes(tmp_path, ShowLimits(take_lines=3))) == 3
    with pytest.raises(SourceError, match="more than 2 lines"):
        read_changes(tmp_path, ShowLimits(take_lines=2))


def test_what_is_no_take(tmp_path: Path):
    with pytest.raises(SourceError, match="there is no take"):
        source_of(tmp_path / "absent")
    with pytest.raises(SourceError, match=r"has no source\.mp4"):
        source_of(tmp_path)
    with pytest.raises(SourceError, match="is it a take"):
        read_changes(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_take_or_refused(tmp_path_factory, data: bytes):
    folder = tmp_path_factory.mktemp("take")
    (folder / CONTROLS).write_bytes(data)
    try:
        assert read_changes(folder)
    except SidestreamError as error:
        assert len(str(error)) < 400


@given(st.lists(st.integers(0, 1000), min_size=1, unique=True), st.integers(0, 1000))
def test_the_controls_of_a_moment_are_the_last_before_it(times: list[int], at: int):
    ordered = sorted({0, *times})
    changes = tuple(Change(time, Controls(prompt="x", seed=time)) for time in ordered)
    assert controls_at(changes, at).seed == max(time for time in ordered if time <= at)
