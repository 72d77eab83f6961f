"""What a machine can do."""

from __future__ import annotations

import torch

from sidestream.bench import machine
from sidestream.bench.machine import Machine


def test_the_machine_is_measured():
    cpu = torch.device("cpu")
    assert machine.matrix_flops(cpu, torch.float32, 64) > 1e6
    assert machine.bandwidth(cpu, 1 << 20) > 1e6


def test_the_bound_is_the_longer_of_arithmetic_and_memory():
    able = Machine(matrix_flops=100.0, bandwidth=10.0)
    assert able.bound_seconds(flops=200, moved=10) == 2
    assert able.bound_seconds(flops=200, moved=50) == 5
