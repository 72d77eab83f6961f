"""Guided attention: whose counterpart a token is, and how far attention is from it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sidestream.config import Size
from sidestream.train.guidance import Guidance, counterparts

ROWS, COLUMNS, STRIDE = 2, 3, 16
SIZE = Size(COLUMNS * STRIDE, ROWS * STRIDE)
PLACES = 2 * ROWS * COLUMNS


class Attention(nn.Module):
    """Every place of the whole has a number of its own; queries say which number they look for."""

    def __init__(self, looks_for: torch.Tensor, gain: float) -> None:
        super().__init__()
        self.to_q, self.to_k = (nn.Linear(PLACES, PLACES, bias=False) for _ in range(2))
        self.norm_q, self.norm_k = (nn.RMSNorm(PLACES, eps=1e-6) for _ in range(2))
        with torch.no_grad():
            self.to_q.weight.copy_(gain * torch.eye(PLACES)[looks_for].T)
            self.to_k.weight.copy_(torch.eye(PLACES))
            self.norm_k.weight.fill_(10)

    def forward(self, tokens: torch.Tensor) -> None:
        self.to_q(tokens)
        self.to_k(tokens)


def guided(looks_for: torch.Tensor, gain: float = 1.0) -> tuple[nn.Module, Guidance]:
    unet = nn.ModuleDict(
        {name: nn.ModuleDict({"attn1": Attention(looks_for, gain)}) for name in ("up", "down")}
    )
    guidance = Guidance(unet, ("up",), STRIDE)
    unet["up"]["attn1"](torch.eye(PLACES).expand(2, -1, -1))
    return unet, guidance


def across() -> torch.Tensor:
    wanted = torch.arange(PLACES)
    wanted[counterparts(ROWS, COLUMNS) - COLUMNS] = counterparts(ROWS, COLUMNS)
    return wanted


def test_counterparts_lie_half_a_row_further():
    assert counterparts(2, 3).tolist() == [3, 4, 5, 9, 10, 11]


def test_attention_that_rests_on_the_counterpart_costs_nothing():
    _, guidance = guided(across())
    assert float(guidance.cross_entropy(SIZE).detach()) < 1e-3


def test_attention_that_rests_on_the_place_itself_costs_much():
    _, guidance = guided(torch.arange(PLACES))
    assert float(guidance.cross_entropy(SIZE).detach()) > 10


def test_attention_that_rests_on_nothing_costs_the_log_of_the_number_of_places():
    _, guidance = guided(across(), gain=0.0)
    assert float(guidance.cross_entropy(SIZE).detach()) == pytest.approx(math.log(PLACES))


def test_it_teaches_the_blocks_that_are_named():
    unet, guidance = guided(torch.arange(PLACES))
    guidance.cross_entropy(SIZE).backward()
    assert unet["up"]["attn1"].to_q.weight.grad.abs().sum() > 0
    assert unet["down"]["attn1"].to_q.weight.grad is None
