"""The sound of the source goes with its pictures."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from sidestream.config import Size
from sidestream.media.open import open_source
from sidestream.media.sink import open_sink


@pytest.fixture
def restyle(tmp_path, styled):
    def restyled(path, name, **part):
        out = tmp_path / name
        with (
            open_source(path, **part) as source,
            open_sink(
                out, size=Size(128, 96), rate=source.rate, source_path=path, metadata={}
            ) as sink,
        ):
            for frame in source:
                sink.write(styled(frame))
        return out, sink.warnings

    return restyled


def heard(path) -> tuple[str, np.ndarray, float]:
    """The codec, the samples at 48 kHz with silence before the first, and the first time."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        resampler = av.AudioResampler("fltp", "mono", 48_000)
        frames = list(container.decode(stream))
        first = float(frames[0].pts * frames[0].time_base)
        pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    silence = np.zeros(max(0, round(first * 48_000)), np.float32)
    return stream.codec_context.name, np.concatenate([silence, *pieces]), first


def lag(samples: np.ndarray, expected: np.ndarray) -> float:
    """Seconds by which one follows the other, by loudness."""
    count = min(len(samples), len(expected)) // 48
    a, b = (np.abs(wave[: count * 48]).reshape(count, 48).max(1) for wave in (samples, expected))
    shifts = range(-100, 101)
    best = max(
        shifts, key=lambda s: float((a[100 + s : count - 100 + s] * b[100 : count - 100]).sum())
    )
    return best / 1000


@pytest.mark.parametrize(
    ("source", "sound", "name", "codec"),
    [
        ("clip.mp4", "aac", "out.mp4", "aac"),
        ("clip.mp4", "aac", "out.mkv", "aac"),
        ("clip.mkv", "libopus", "out.webm", "opus"),
        ("clip.mp4", "aac", "out.webm", "opus"),
        ("clip.mkv", "flac", "out.mp4", "aac"),
        ("clip.ts", "aac", "out.mp4", "aac"),
        ("clip.ts", "mp2", "out.mov", "aac"),
    ],
)
def test_sound_stays_in_time(make, restyle, source, sound, name, codec):
    path = make.video(source, 60, sound=sound)
    out, warnings = restyle(path, name)
    found, samples, first = heard(out)
    assert (found, warnings) == (codec, []) and first < 0.03
    with open_source(path) as read:
        begin = round(next(iter(read)).seconds * 48_000)
    assert abs(lag(samples, heard(path)[1][begin:])) <= 0.02
    assert 2.4 < len(samples) / 48_000 < 2.6
    with open_source(out, strict=True) as written:
        assert [frame.seconds for frame in written] == pytest.approx(
            [i / 24 for i in range(60)], abs=0.0011
        )


def test_copied_sound_is_the_same_bytes(make, restyle):
    path = make.video(sound="aac")
    packets = []
    for file in (path, restyle(path, "out.mp4")[0]):
        with av.open(str(file)) as container:
            packets.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
    assert packets[1] == packets[0][-len(packets[1]) :] and len(packets[0]) - len(packets[1]) <= 1


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_a_part_takes_its_own_sound(make, restyle, name):
    path = make.video("clip.mp4", 96, sound="aac", options={"g": "12"})
    out, _ = restyle(path, name, start=1.75, duration=1.5)
    _, samples, first = heard(out)
    assert first < 0.03 and 1.4 < len(samples) / 48_000 < 1.6
    assert abs(lag(samples, heard(path)[1][int(1.75 * 48_000) :])) <= 0.02


@pytest.mark.parametrize("name", ["out.gif", "out/"])
def test_pictures_are_silent(make, restyle, name):
    out, warnings = restyle(make.video(pictures=3, sound="aac"), name)
    assert out.exists() and warnings == []


def test_sound_that_cannot_be_decoded_is_left_out_and_said(make, restyle):
    path = make.video("clip.mkv", sound="libopus")
    path.write_bytes(path.read_bytes().replace(b"A_OPUS", b"A_QQQQ"))
    out, warnings = restyle(path, "out.mp4")
    with av.open(str(out)) as container:
        assert not container.streams.audio
    assert warnings == [f"the sound of {path} cannot be decoded and was left out"]


def test_damaged_sound_does_not_cost_pictures(make, restyle):
    path = make.video("clip.mkv", 48, sound="flac")
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(audio=0) if p.size]
    data = path.read_bytes()
    for packet in packets[10:20]:
        data = data.replace(packet, b"\xff" * len(packet))
    path.write_bytes(data)
    out, _ = restyle(path, "out.mp4")
    with open_source(out, strict=True) as written:
        assert len(list(written)) == 48


def test_mono_and_other_rates(make, restyle):
    path = make.video("clip.avi", 48, sound="pcm_s16le", sound_rate=22_050)
    out, _ = restyle(path, "out.mp4")
    codec, samples, _ = heard(out)
    assert codec == "aac" and 1.9 < len(samples) / 48_000 < 2.1


def test_sound_waits_for_time_zero(make, restyle):
    path = make.video("clip.ts", 48, sound="aac", container={"output_ts_offset": "10"})
    with open_source(path) as source:
        assert next(iter(source)).seconds >= 10
    assert Fraction(0) <= heard(restyle(path, "out.mkv")[0])[2] < 0.03


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_sound_may_end_before_the_pictures(make, restyle, name):
    path = make.video("clip.mp4", 60, sound="aac", sound_seconds=1.0)
    out, warnings = restyle(path, name)
    with open_source(out, strict=True) as written:
        assert len(list(written)) == 60 and warnings == []
    assert 0.9 < len(heard(out)[1]) / 48_000 < 1.1
