"""What compiles."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import lively
from sidestream import Stylizer
from sidestream.errors import EngineError
from sidestream.models.compile import Background, CompiledBehind, compiled
from sidestream.models.lanes import Lane, Lanes
from tape import Reruns

eagerly = partial(compiled, backend="eager")


def test_more_shapes_than_torch_allows_by_default_each_compile_once():
    double = compiled(lambda x: x + x, "eager")
    shapes = [torch.ones(size) for size in range(2, 22)]
    for ones in shapes:
        assert double(ones).sum() == 2 * len(ones)
    with torch.compiler.set_stance("fail_on_recompile"):
        for ones in shapes:
            double(ones)


def test_so_they_do_in_a_thread_of_their_own():
    half = compiled(lambda x: x / 2, "eager")
    shapes = [torch.ones(size) for size in range(2, 22)]
    with ThreadPoolExecutor(1) as lane:
        for ones in shapes:
            assert lane.submit(half, ones).result().sum() == len(ones) / 2


# In the background.


@pytest.fixture
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


def behind(backend: Any, background: Background) -> CompiledBehind:
    def double(x: torch.Tensor) -> torch.Tensor:
        return x + x

    return CompiledBehind(double, compiled(double, backend), background)


def settled(function: CompiledBehind, *given: torch.Tensor) -> None:
    """Waits until the background is through with the shape."""
    deadline = time.monotonic() + 60
    while not function.ready(*given):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_function_runs_as_it_is_until_it_is_compiled(background):
    told: list[int] = []

    def backend(graph: torch.fx.GraphModule, example: object):
        told.append(threading.get_ident())
        return graph.forward

    double = behind(backend, background)
    with torch.inference_mode():
        with background.quiet:  # which holds the background up
            assert double(torch.ones(3)).tolist() == [2] * 3
            assert not double.ready(torch.ones(3))
            assert told == []
        settled(double, torch.ones(3))
        assert double(torch.ones(3)).tolist() == [2] * 3
    assert len(told) == 1 and told[0] != threading.get_ident()


def test_what_was_compiled_in_the_background_is_not_compiled_again(background):
    double = behind("eager", background)
    with torch.inference_mode():
        for size in range(2, 14):
            settled(double, torch.ones(size))
        with torch.compiler.set_stance("fail_on_recompile"):
            for size in range(2, 14):
                assert double(torch.ones(size)).sum() == 2 * size


def test_the_background_gets_copies(background):
    seen: list[torch.Tensor] = []
    ones = torch.ones(3)
    background.submit(seen.append, ones).result()
    ones.zero_()
    assert seen[0].tolist() == [1] * 3


def test_what_does_not_compile_is_an_error_for_whoever_calls(background):
    def refuse(graph: torch.fx.GraphModule, example: object):
        raise RuntimeError("this cannot be compiled")

    double = behind(refuse, background)
    with torch.inference_mode(), pytest.raises(EngineError, match="leave --compile out"):
        settled(double, torch.ones(3))
    with torch.inference_mode(), pytest.raises(EngineError, match="leave --compile out"):
        double(torch.ones(3))


def test_outside_of_inference_nothing_is_compiled(background):
    double = behind("eager", background)
    with torch.inference_mode(False):
        assert double(torch.ones(3, requires_grad=True)).requires_grad


def test_a_video_goes_on_while_its_model_is_compiled(video):
    """Eager frames, then compiled ones, then graphs of these; the pixels stay."""
    background, side, main = Background(), Reruns(), Reruns()
    lanes = Lanes(Lane(eagerly, background, side), Lane(eagerly, background, main))

    def shown(stylizer: Stylizer) -> np.ndarray:
        with stylizer.open("ink", size="64x32", batch=1) as stream:
            return np.stack([styled.pixels for styled in stream.run(video[:4])]).astype(int)

    plain = shown(lively.load())
    with lively.load(lanes=lanes) as stylizer:
        deadline = time.monotonic() + 120
        while not (side.replayed and main.replayed):
            assert np.abs(shown(stylizer) - plain).max() <= 1
            assert time.monotonic() < deadline
        assert np.abs(shown(stylizer) - plain).max() <= 1
    assert background._thread._shutdown
