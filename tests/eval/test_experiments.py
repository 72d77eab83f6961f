"""What is measured: of paintings as good as can be, of spoilt ones, and of nano as users get it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sidestream import Stylizer
from sidestream.config import StreamConfig
from sidestream.eval.bench import DRAWN, UNSEEN, Bench, Extent
from sidestream.eval.clips import Clip
from sidestream.eval.experiments import expected_frames, run
from sidestream.eval.stills import Still, autoencoder, following, unseen
from sidestream.eval.streams import CUTS, INPUTS, OFF, ON, STEADY, TARGETS, cuts, speed, steadiness


@pytest.fixture(scope="module")
def stills(clip: Clip) -> list[Still]:
    return [Still.of(pixels) for pixels in clip.stills(2)]


def test_a_perfect_painter_is_followed_to_the_end(painter, stills):
    found = list(following(painter, stills))
    drawn = [one for one in found if one.table == "stills" and one.row in DRAWN]
    assert [one.config["steps"] for one in drawn] == [1, 2, 4] * len(DRAWN)
    for one in drawn:
        assert (one.metrics["own"], one.metrics["distance"], one.metrics["l1"]) == (1, 0, 0)
        assert one.metrics[f"nearest {one.row}"] == 1
        assert one.metrics["ssim"] == one.metrics["target_ssim"] < 1
        assert one.metrics["edges"] == pytest.approx(1) and one.metrics["input_edges"] < 1
        assert one.metrics["sobel"] == one.metrics["target_sobel"]
        assert one.metrics["input_distance"] > 0.2
    [unchanged] = [one for one in found if one.row == "identity"]
    assert unchanged.metrics["psnr"] == 100
    [apart] = [one for one in found if one.table == "difference"]
    assert apart.metrics["l1"] == apart.metrics["target_l1"] > 10


def test_blurred_paintings_are_found_out(blurred, stills):
    for one in following(blurred, stills):
        if one.row in DRAWN:
            assert one.metrics["distance"] > 0.4 * one.metrics["input_distance"]
            assert one.metrics["sobel"] < 0.5 * one.metrics["target_sobel"]
            assert one.metrics["edges"] < 0.9


def test_prompts_go_round_from_clip_to_clip(painter, stills):
    first, second = (next(following(painter, stills, number)).config for number in (0, 1))
    assert first["prompts"][2:4] == second["prompts"][:2]
    assert sorted(first["prompts"]) == sorted(second["prompts"])


def test_unseen_styles_are_told_by_what_they_look_like(painter, stills):
    found = {one.row: one.metrics for one in unseen(painter, stills)}
    assert set(found) == set(UNSEEN)
    for metrics in found.values():
        assert metrics["distance"] == metrics["ratio"] == 0
        shares = [value for name, value in metrics.items() if name.startswith("nearest ")]
        assert sum(shares) == pytest.approx(1)


def test_streams_are_measured_beside_paintings_and_inputs(painter, clip):
    [window] = clip.windows(4)
    found = list(steadiness(painter, window))
    assert found[0].row == INPUTS
    assert [one.row for one in found[1:]] == [TARGETS, *STEADY] * len(DRAWN)
    painted = next(one for one in found if one.row == TARGETS)
    steady = next(one for one in found if one.row == ON)
    assert steady.metrics == {**painted.metrics, "target_l1": 0}
    assert (steady.config["adapter"], steady.config["lead"]) == ("default", window.lead)


def test_a_quick_look_takes_one_style_a_clip(painter, clip):
    [window] = clip.windows(4)
    quick = replace(painter, extent=Extent(3, quick=True))
    found = list(steadiness(quick, window, number=1))
    assert [one.row for one in found] == [INPUTS, TARGETS, OFF, ON]
    assert found[-1].config["style"] == DRAWN[1]


def test_each_picture_gets_its_own_prompt(nano: Stylizer, clip: Clip):
    bench, config = Bench("nano", nano, nano), StreamConfig(batch=4)
    pictures = [clip.frames[0]] * 4
    mixed = bench.restyled(pictures, ["oil", "pencil"], config)
    alike = bench.restyled(pictures, ["oil"], config)
    assert np.abs(mixed[0].astype(int) - alike[0]).max() <= 1
    assert np.abs(mixed[1].astype(int) - alike[1]).mean() > 1


def test_the_autoencoder_is_measured_alone(nano: Stylizer, stills):
    record = autoencoder(Bench("nano", nano, nano), stills)
    assert 3 < record.metrics["psnr"] < 60


def test_nothing_is_left_after_a_cut_that_is_looked_for(nano: Stylizer, clip: Clip):
    other = [255 - pixels[::-1] for pixels in clip.frames]
    joined = Clip("cut_joined", [*clip.frames, *map(np.ascontiguousarray, other)])
    found = {one.row: one.metrics for one in cuts(Bench("nano", nano, nano), joined)}
    assert list(found) == list(CUTS)
    assert found["cut"]["max"] <= 2


def test_speed_is_of_whole_files(nano: Stylizer, clip: Clip):
    record = speed(Bench("nano", nano, nano), clip)
    assert record.metrics["frames"] == 12
    assert 0 < record.metrics["fps"] <= record.metrics["step_fps"]
    assert record.config["source"] == "pictures"


@pytest.mark.parametrize("quick", [False, True])
def test_frames_to_come_are_counted(painter, clip: Clip, quick: bool):
    done: list[int] = []
    extent = Extent(2, quick=quick)
    bench = replace(painter, extent=extent, tick=lambda: done.append(1))
    records = list(run(bench, [clip]))
    assert len(done) == expected_frames(extent, [clip])
    assert {one.clip for one in records} == {"moving", "cut_moving-moving"}
    assert all(one.environment["device"] for one in records)
