"""The only place that compiles. Fixed shapes, whole graphs: what cannot be captured is an error, not a slow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

INDUCTOR = "inductor"
SHAPES = 1024


class Make(Protocol):
    """Makes of a function of tensors one that computes the same, faster."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def as_it_is(function: Callable[P, R], /) -> Callable[P, R]:
    return function


def compiled(function: Callable[P, R], backend: str | None) -> Callable[P, R]:
    """`function` itself where `backend` is None; else compiled once for every shape it meets."""
    if backend is None:
        return function
    # Every text bucket, batch, size and K is a shape of its own: many, but each is compiled once.
    limits: Any = torch._dynamo.config  # pyright: ignore[reportPrivateUsage] - it has no public name
    limits.recompile_limit = SHAPES
    limits.accumulated_recompile_limit = 8 * SHAPES
    return torch.compile(function, fullgraph=True, dynamic=False, backend=backend)
