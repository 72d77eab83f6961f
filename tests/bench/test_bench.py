"""Runs of a model, warmed up."""

from __future__ import annotations

from dataclasses import replace

from sidestream.bench.bench import WARM_BATCHES, Bench, measured
from sidestream.bench.clock import pace
from sidestream.config import Size, StreamConfig


def test_warm_up_is_counted_apart(bench: Bench, nano):
    done = measured(nano, bench.config(), 5)
    assert (len(done.warm_up), len(done.steady)) == (2 * WARM_BATCHES, 6)
    assert done.report.frames_in == 6
    assert done.steady.taken[0] > done.warm_up.given[-1]
    metrics = pace(done)
    assert 0 < metrics["fps"] < metrics["step_fps"]
    assert metrics["latency_ms_p50"] > metrics["batch_gap_ms_p50"] > metrics["gap_ms_p50"]


def test_streams_share_the_frames_of_a_run(bench: Bench, nano):
    done = measured(nano, bench.config(batch=1), 9, streams=3)
    assert len(done.steady) == 9
    assert done.report.spans_ms["denoise"].count == 3


def test_what_is_left_open_is_the_model_s_own(bench: Bench):
    open_ended = replace(bench, stream=StreamConfig(steps=2))
    config = open_ended.config(seed=7)
    assert (config.size, config.batch, config.steps, config.seed) == (Size(256, 256), 8, 2, 7)
    assert replace(open_ended, model="twin").size == Size(512, 512)
