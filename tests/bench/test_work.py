"""Work counted while it is done."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sidestream.bench.work import Work, WorkSpans

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


def test_parts_of_one_table_add_up_and_no_part_counts_twice():
    table = torch.ones(4, 8)
    found = work_of(lambda: [table[row] + 1 for row in (0, 1, 1)])
    assert found.constant_bytes == FLOAT * 2 * 8


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
    ones = torch.ones(8)
    assert work_of(lambda: ones[ones > 0]).waits == 1
    assert work_of(lambda: ones[torch.zeros(3, dtype=torch.long)]).waits == 0
