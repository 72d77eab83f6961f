"""Work counted, what a machine can do, and one by the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sidestream.bench import machine, profile
from sidestream.bench.bench import Bench
from sidestream.bench.machine import Machine
from sidestream.bench.work import Work, WorkSpans
from sidestream.timing import Span

FLOAT = 4


def work_of(function) -> Work:
    spans = WorkSpans()
    with torch.inference_mode(), spans("all"):
        function()
    return spans.work["all"]


def test_a_product_is_counted_with_its_weights_read_once():
    linear = nn.Linear(32, 48)

    def twice() -> None:
        linear(linear(torch.ones(20, 32))[:, :32].contiguous())

    found = work_of(twice)
    assert found.flops == 2 * 2 * 20 * 32 * 48
    assert found.constant_bytes == FLOAT * (32 * 48 + 48)


def test_attention_is_counted_on_a_cpu_with_and_without_a_mask():
    heads = torch.ones(1, 4, 10, 16)
    product = 2 * 4 * 10 * 10 * 16
    for mask in (None, torch.zeros(1, 1, 1, 10)):
        found = work_of(lambda mask=mask: F.scaled_dot_product_attention(heads, heads, heads, mask))
        assert found.flops == 2 * product


def test_views_move_nothing_and_writing_in_place_does():
    found = work_of(lambda: torch.ones(8, 8).view(64).t())
    assert (found.operations, found.activation_bytes) == (1, FLOAT * 64)
    ones = torch.ones(64)
    assert work_of(lambda: ones.add_(1)).activation_bytes == FLOAT * 64


def test_it_is_noticed_that_the_host_waits():
    assert work_of(lambda: torch.ones(8).sum().item()).waits == 1
    assert work_of(lambda: torch.ones(8).sum()).waits == 0


def test_the_machine_is_measured():
    cpu = torch.device("cpu")
    assert machine.matrix_flops(cpu, torch.float32, 64) > 1e6
    assert machine.bandwidth(cpu, 1 << 20) > 1e6


def test_the_bound_is_the_longer_of_arithmetic_and_memory():
    able = Machine(matrix_flops=100.0, bandwidth=10.0)
    assert able.bound_seconds(flops=200, moved=10) == 2
    assert able.bound_seconds(flops=200, moved=50) == 5


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
