"""Stages and the loop beside their bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidestream.bench import profile
from sidestream.bench.bench import Bench
from sidestream.bench.machine import Machine
from sidestream.bench.work import Work
from sidestream.timing import Span


def test_a_stage_is_held_against_its_bound():
    able = Machine(matrix_flops=100.0, bandwidth=10.0)
    found = profile.of_stage(Span(4, 16.0), Work(flops=200, constant_bytes=10), able)
    assert (found["ms"], found["bound_ms"], found["of_bound"]) == (4000, 2000, 0.5)
    assert found["gflops"] == 50e-9


def test_the_loop_is_held_against_the_sum_of_all_bounds():
    able = Machine(matrix_flops=100.0, bandwidth=10.0)
    counted = {"one": Work(flops=100, operations=4), "two": Work(flops=300, waits=2)}
    times = {"one": Span(1, 2.0), "two": Span(2, 12.0)}
    found = profile.of_loop(0.25, 2, times, counted, able)
    assert (found["fps_bound"], found["fps_stages_in_turn"], found["of_bound"]) == (0.5, 0.25, 0.5)
    assert (found["operations_per_frame"], found["waits_per_frame"]) == (2, 1)


def test_every_stage_is_timed_and_counted(bench: Bench):
    bench = replace(bench, frames=1)
    found = list(profile.run(bench))
    stages = {one.row: one.metrics for one in found if one.table == profile.STAGES}
    assert {"flow", "encode image", "encode text", "conditioning", "denoise", "decode"} <= set(
        stages
    )
    assert stages["denoise"]["gflop"] > stages["encode image"]["gflop"] > 0
    assert stages["flow"]["gflop"] == 0
    assert list(profile.charts(found)) == ["stages"]
    assert profile.charts([]) == {}


def test_twice_the_steps_are_twice_the_work_of_denoising(bench: Bench):
    one, two = (
        profile.work_of_stages(bench, bench.config(steps=steps))["denoise"] for steps in (1, 2)
    )
    assert two.flops == pytest.approx(2 * one.flops)
    assert two.constant_bytes == pytest.approx(one.constant_bytes, rel=0.01)
