"""The only place that compiles. Fixed shapes, whole graphs: what cannot be captured is an error, not a slow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

INDUCTOR = "inductor"


def compiled(function: Callable[P, R], backend: str | None) -> Callable[P, R]:
    """`function` itself where `backend` is None; else compiled once for every shape it meets."""
    if backend is None:
        return function
    return torch.compile(function, fullgraph=True, dynamic=False, backend=backend)
