"""Frames as they come out: times, parts, damage."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.errors import SourceError
from sidestream.media.images import RATE, Pictures
from sidestream.media.open import open_source
from sidestream.media.video import Clock


def test_every_frame_comes_once_in_order(make, picture):
    with open_source(make.video(options={"bf": "3"})) as source:
        assert (source.width, source.height, source.rate) == (128, 96, 24)
        assert (source.expected_frames, source.seconds) == (24, 1.0)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(24))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 24 for i in range(24)])
    assert all(np.abs(f.pixels - picture(f.index).astype(int)).mean() < 4 for f in frames)
    assert source.warnings == []


def test_one_frame(make):
    with open_source(make.video(pictures=1)) as source:
        assert len(list(source)) == source.expected_frames == 1


def test_reading_goes_on_where_it_stopped(make):
    with open_source(make.video()) as source:
        first = [frame.index for frame, _ in zip(source, range(3), strict=False)]
        assert first == [0, 1, 2] and next(iter(source)).index >= 3


def test_variable_rate_keeps_its_times(make):
    times = [0, 33, 100, 200, 233, 333]
    path = make.video("vfr.mkv", 6, times=times, time_base=Fraction(1, 1000))
    with open_source(path) as source:
        assert [frame.pts for frame in source] == times


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.gif", "clip.avi"])
@pytest.mark.parametrize(("start", "duration"), [(0.5, None), (0.0, 0.25), (1.25, 0.5)])
def test_a_part_is_exact(make, name, start, duration):
    how = {"codec": "gif", "pix_fmt": "rgb8"} if name.endswith("gif") else {"options": {"g": "12"}}
    path = make.video(name, 48, **how)
    with open_source(path) as source:
        whole = list(source)
    begin = whole[0].seconds + start - 1e-6
    end = begin + duration if duration else 99
    expected = [frame.pts for frame in whole if begin <= frame.seconds < end]
    with open_source(path, start=start, duration=duration, strict=True) as source:
        assert [frame.pts for frame in source] == expected
        assert abs(source.expected_frames - len(expected)) <= 2


def test_a_raw_stream_has_neither_times_nor_an_index(make):
    path = make.video("clip.h264", 48, options={"g": "12", "bf": "0"})
    with open_source(path) as source:
        whole = [frame.seconds for frame in source]
    with open_source(path, start=0.5, duration=1) as source:
        part = [frame.seconds for frame in source]
    assert part == [time for time in whole if 0.5 <= time < 1.5] and len(part) in (24, 25)


def test_damage_costs_no_more_than_itself(make):
    path = make.video(pictures=60, options={"g": "12"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        places = [p.pos + p.size // 2 for p in packets if not p.is_keyframe][::5]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + 4] = b"\xff" * 4
    path.write_bytes(data)
    with open_source(path) as source:
        assert len(list(source)) >= 54 and len(places) >= 10


def test_a_container_that_cannot_be_read_on(make):
    path = make.video("clip.y4m", 20, codec="wrapped_avframe")
    data = path.read_bytes()
    tenth = [place for place in range(len(data)) if data.startswith(b"FRAME", place)][10]
    path.write_bytes(data[:tenth] + b"WRONG" + data[tenth + 5 :])
    with open_source(path) as source:
        assert 10 <= len(list(source)) < 20
    assert "1 packet could not be decoded" in source.warnings


def test_few_frames_are_held(make):
    path = make.video(pictures=120, size=(256, 256))
    with open_source(path) as source:
        tracemalloc.start()
        count = sum(1 for _ in source)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 120 and peak < 6 * 256 * 256 * 3


def test_packets_that_cannot_be_decoded_are_counted(make):
    path = make.video("clip.mkv", 20, codec="mjpeg", pix_fmt="yuvj420p")
    make.erase(path, (4, 9))
    with open_source(path) as source:
        assert [frame.index for frame in source] == list(range(18))
    assert source.warnings == ["2 packets could not be decoded"]
    with open_source(path, strict=True) as source, pytest.raises(SourceError, match="2 packets"):
        list(source)


def test_a_file_that_ends_early_gives_what_it_has(make):
    path = make.video(pictures=60, container={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10])
    with open_source(path) as source:
        count = len(list(source))
    assert 10 < count < 60
    assert f"the file ends early: {count} of 60 frames" in source.warnings
    with open_source(path, strict=True) as source, pytest.raises(SourceError, match="ends early"):
        list(source)


def test_the_size_may_change_on_the_way(make):
    path = make.video("first.ts", 24)
    second = make.video("second.ts", 24, size=(192, 160))
    path.write_bytes(path.read_bytes() + second.read_bytes())
    with open_source(path) as source:
        assert (source.width, source.height) == (128, 96)
        frames = list(source)
    shapes = [frame.pixels.shape[:2] for frame in frames]
    assert shapes[0] == (96, 128) and shapes[-1] == (160, 192) and len(shapes) >= 46
    assert all(b.pts > a.pts for a, b in pairwise(frames))


class Ticks(Pictures):
    """A feed of nothing, with a clock."""

    def __init__(self, time_base: Fraction) -> None:
        super().__init__([], open_one=lambda path: pytest.fail("nothing is opened"))
        self.time_base, self.origin = time_base, 100


@given(st.lists(st.none() | st.integers(-5000, 5000), min_size=1, max_size=50))
def test_times_only_ever_grow(times):
    clock = Clock(Ticks(Fraction(1, 1000)))
    shown = [clock.tick(time) for time in times]
    assert all(after > before for before, after in pairwise(shown))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50, unique=True).map(sorted))
def test_good_times_are_left_alone(times):
    clock = Clock(Ticks(Fraction(1, 1000)))
    assert [clock.tick(time) for time in times] == times and clock.repairs == 0


def test_time_that_is_set_back_goes_on():
    clock = Clock(Ticks(Fraction(1, 1000)))
    times = (None, 740, 740, 5, 45, None)
    assert [clock.tick(time) for time in times] == [100, 740, 741, 781, 821, 861]
    assert clock.repairs == 3 and RATE == 25
