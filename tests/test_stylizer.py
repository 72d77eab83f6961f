"""The door for users."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from pictures import sliding
from sidestream import Frame, ModelConfig, SidestreamError, Stylizer
from sidestream.build import build, pick_device, pick_dtype
from sidestream.config import Schedule
from sidestream.errors import ConfigError, ModelError
from sidestream.models import zoo


def test_arrays_come_back_as_frames_of_the_working_size(nano):
    with nano.open("ink", batch=2) as stream:
        styled = list(stream.run(sliding(3, width=96, height=56)))
    assert [s.frame.index for s in styled] == [0, 1, 2]
    height, width, _ = styled[0].pixels.shape
    assert abs(width / height - 96 / 56) < 0.1
    assert 0.8 < width * height / 256**2 < 1.25


def test_a_stream_goes_on_over_several_runs(nano):
    with nano.open("ink", size="32x32", batch=1) as stream:
        first = list(stream.run(sliding(2, width=32, height=32)))
        second = list(stream.run(sliding(2, width=32, height=32)))
    assert [s.frame.index for s in first + second] == [0, 1, 2, 3]
    assert second[0].plan.conditioning == "refresh"


def test_frames_keep_their_own_numbers(nano):
    from fractions import Fraction

    picture = sliding(1, width=32, height=32)[0]
    with nano.open("ink", size="32x32") as stream:
        (styled,) = stream.run([Frame(picture, 5, Fraction(1, 9), 77)])
    assert (styled.frame.index, styled.frame.pts) == (77, 5)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), "frame.png"],
)
def test_what_is_no_picture_is_refused(nano, picture):
    with nano.open("ink") as stream, pytest.raises(ConfigError, match="must be a uint8 array"):
        list(stream.run([picture]))


def test_a_prompt_that_cannot_be_read_does_not_open_a_stream(nano):
    with pytest.raises(SidestreamError, match="prompt is empty"):
        nano.open("   ")
    nano.open("ink").close()


def test_steps_and_size_may_change_while_it_runs(nano):
    with nano.open("ink", size="32x32", batch=2) as stream:

        def source():
            for number, picture in enumerate(sliding(6, width=64, height=32)):
                if number == 2:
                    stream.controls = replace(stream.controls, steps=2)
                if number == 4:
                    stream.controls = replace(
                        stream.controls, size=type(stream.controls.size)(64, 32)
                    )
                yield picture

        styled = list(stream.run(source()))
    assert [s.plan.steps for s in styled] == [1, 1, 2, 2, 2, 2]
    assert [s.pixels.shape[1] for s in styled] == [32] * 4 + [64] * 2
    assert styled[4].plan.reasons == ("size",)


def test_text_is_encoded_no_more_often_than_asked(nano):
    prepare = nano.built.engine.prepare
    video = sliding(8, width=32, height=32)
    counts = []
    for schedule in (
        Schedule(),
        Schedule(text_every=4),
        Schedule(text_every=100, text_first_frame_only=True),
    ):
        before = prepare.encoded
        with nano.open("ink", size="32x32", batch=2, schedule=schedule) as stream:
            assert len(list(stream.run(video))) == 8
        counts.append(prepare.encoded - before)
    assert counts == [8, 4, 1]


def test_shared_text_is_the_first_frames(nano):
    still = sliding(1, width=32, height=32) * 4
    settings = {"size": "32x32", "batch": 4, "fixed_noise": True}
    pixels = []
    for first_only in (False, True):
        schedule = Schedule(text_first_frame_only=first_only)
        with nano.open("ink", schedule=schedule, **settings) as stream:
            pixels.append(np.stack([s.pixels for s in stream.run(still)]).astype(int))
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


def test_blending_holds_on_to_the_frame_before(nano):
    still = sliding(1, width=64, height=64) * 6
    changes = []
    for blend in (0.0, 0.8):
        with nano.open("ink", size="64x64", batch=2, stability=0.0, blend=blend) as stream:
            shown = np.stack([s.pixels for s in stream.run(still)]).astype(float)
        changes.append(np.abs(np.diff(shown, axis=0)).mean())
    assert changes[1] < 0.5 * changes[0]


def test_streams_that_blend_and_streams_that_do_not_may_run_together(nano):
    video = sliding(4, width=32, height=32)
    plain, blended = nano.open("ink", size="32x32"), nano.open("ink", size="32x32", blend=0.8)
    other_flow = nano.open("ink", size="32x32", flow="farneback")
    pairs = [(one, video) for one in (plain, blended, other_flow)]
    styled = list(nano.together(pairs))
    for one in (plain, blended, other_flow):
        one.close()
    assert len(styled) == 12
    with nano.open("ink", size="32x32", batch=1) as alone:
        expected = [s.pixels for s in alone.run(video)]
    found = [s.pixels for s in styled if s.stream is plain.stream]
    assert np.abs(np.stack(found).astype(int) - np.stack(expected)).max() <= 1


def test_leaving_early_closes_the_source_and_leaves_no_thread(nano):
    closed = threading.Event()

    def source():
        try:
            yield from sliding(12, width=32, height=32)
        finally:
            closed.set()

    before = threading.active_count()
    with nano.open("ink", size="32x32", batch=1) as stream:
        run = stream.run(source())
        next(run)
        run.close()
    assert closed.is_set()
    assert threading.active_count() <= before + nano.built.config.flow_threads


def test_an_error_of_the_source_arrives_and_the_stream_goes_on(nano):
    video = sliding(4, width=32, height=32)

    def source():
        yield video[0]
        raise OSError("camera gone")

    with nano.open("ink", size="32x32", batch=1) as stream:
        with pytest.raises(OSError, match="camera gone"):
            list(stream.run(source()))
        assert len(list(stream.run(video))) == 4


def test_without_an_adapter_no_flow_is_computed():
    with Stylizer.load("nano", ModelConfig(adapter="none")) as stylizer:
        with stylizer.open("ink", size="32x32", batch=2) as stream:
            assert len(list(stream.run(sliding(3, width=32, height=32)))) == 3
        assert "flow" not in stylizer.built.engine.spans.sums()


def test_an_unknown_model_names_those_there_are():
    with pytest.raises(ModelError, match="give one of nano, dreamlite-mobile, twin"):
        build("nono", ModelConfig())


def test_an_adapter_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"no adapter file gone\.safetensors"):
        build("nano", ModelConfig(adapter="gone.safetensors"))


def test_hub_ids_and_folders_are_models_too(tmp_path):
    assert zoo.find("someone/model", "v1").weights == zoo.Remote("someone/model", "v1")
    assert zoo.find(str(tmp_path)).weights == tmp_path


def test_a_folder_may_say_at_what_sizes_it_is_at_home_and_bring_an_adapter(tmp_path):
    assert (zoo.find(str(tmp_path)).pixels, zoo.find(str(tmp_path)).adapter) == (512 * 512, None)
    (tmp_path / zoo.SIZES).write_text('{"pixels": 65536, "vision_size": 128}')
    (tmp_path / zoo.ADAPTER).touch()
    found = zoo.find(str(tmp_path))
    assert (found.pixels, found.vision_size) == (65536, 128)
    assert found.adapter == tmp_path / zoo.ADAPTER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must be a JSON object"),
        ('{"pixels": 65536}', "whole numbers for pixels and vision_size"),
        ('{"pixels": 65536, "vision_size": 100}', "a multiple of 32"),
        ('{"pixels": 9, "vision_size": 128}', "1024 pixels or more"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(tmp_path, text, said):
    (tmp_path / zoo.SIZES).write_text(text)
    with pytest.raises(ModelError, match=said):
        zoo.find(str(tmp_path))


def test_weights_that_are_not_free_say_so_once(capsys):
    zoo.announce.cache_clear()
    for _ in range(2):
        zoo.announce("dreamlite-mobile", zoo.DREAMLITE)
        zoo.announce("nano", zoo.APACHE)
    assert capsys.readouterr().err.count("CC BY-NC 4.0") == 1


def test_devices_and_dtypes_are_picked_or_refused():
    import torch

    assert pick_device("cpu").type == "cpu"
    assert pick_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert pick_dtype("float16", torch.device("cpu")) == torch.float16
    with pytest.raises(ConfigError, match="device 'gpu' is not here"):
        pick_device("gpu")


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_processor_computes_in_what_it_is_fast_in(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], dtype: str
):
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert pick_dtype("auto", torch.device("cpu")) == getattr(torch, dtype)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32


def test_a_buffer_that_is_filled_again_is_no_trap(nano):
    buffer = np.zeros((32, 32, 3), np.uint8)

    def source():
        for level in range(8):
            buffer[:] = level * 30
            yield buffer

    with nano.open("ink", size="32x32", batch=4) as stream:
        sources = [styled.source.pixels.mean() for styled in stream.run(source())]
    assert sources == [30.0 * level for level in range(8)]


def test_a_closed_stream_runs_no_more_and_gives_its_place_back_once(nano):
    video = sliding(2, width=32, height=32)
    first = nano.open("ink", size="32x32")
    slot = first.stream.slot
    first.close()
    others = [nano.open("ink") for _ in range(16)]
    first.close()
    with pytest.raises(ConfigError, match="streams are open"):
        nano.open("ink")
    with pytest.raises(ConfigError, match="the stream is closed"):
        list(first.run(video))
    assert [one.stream.slot for one in others].count(slot) == 1
    for one in others:
        one.close()


def test_one_stream_runs_one_video_at_a_time(nano):
    video = sliding(2, width=32, height=32)
    with nano.open("ink", size="32x32") as stream:
        with pytest.raises(ConfigError, match="given twice"):
            nano.together([(stream, video), (stream, video)])
        running = stream.run(video)
        next(running)
        with pytest.raises(ConfigError, match="is running"):
            list(stream.run(video))
        running.close()
        assert len(list(stream.run(video))) == 2


def test_a_closed_model_says_so():
    stylizer = Stylizer.load("nano", ModelConfig(adapter="none"))
    stream = stylizer.open("ink", size="32x32")
    stylizer.close()
    with pytest.raises(SidestreamError, match="the model is closed"):
        list(stream.run(sliding(1, width=32, height=32)))


def test_sizes_come_and_go_without_memory_growing(nano):
    adapter = nano.built.engine.adapter
    video = sliding(4, width=64, height=32)
    for width in range(32, 32 * 8, 32):
        with nano.open("ink", size=f"{width}x32", batch=2) as stream:
            assert len(list(stream.run(video))) == 4
    assert all(len(level.banks) <= 4 for level in adapter._levels)
