"""What compiles."""

from __future__ import annotations

import torch

from sidestream.models.compile import compiled


def test_without_a_backend_a_function_is_itself():
    assert compiled(torch.neg, None) is torch.neg


def test_more_shapes_than_torch_allows_by_default_each_compile_once():
    double = compiled(lambda x: x + x, "eager")
    shapes = [torch.ones(size) for size in range(2, 22)]
    for ones in shapes:
        assert double(ones).sum() == 2 * len(ones)
    with torch.compiler.set_stance("fail_on_recompile"):
        for ones in shapes:
            double(ones)
