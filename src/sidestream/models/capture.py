"""The only place that captures graphs: a function of fixed shapes becomes one launch.

A graph reads and writes at fixed addresses. So what a call is given is copied to where the graph reads, and what it
makes is copied from where it writes before anything else of the lane is launched: neither the next batch in flight nor
another graph that shares the memory can overwrite what is still needed.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, TypeVarTuple

import torch

from sidestream.errors import EngineError
from sidestream.models.trees import leaves, mapped, owned, shape_of

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

EAGER_CALLS = 1
"""Of every shape, before it is captured: algorithms are chosen then, and a shape that is met once is not worth it."""
MOST_GRAPHS = 64
"""Of one function; beyond it those go that were used longest ago."""
MOST_SHAPES = 1024
"""Whose calls are counted; beyond it those go that were met first."""


class Graphs(Protocol):
    """Where the graphs of one lane are captured. They share memory, so one call comes after the other."""

    def turn(self) -> AbstractContextManager[None]:
        """While it is held, nothing else of the lane is launched, and what was launched before comes first."""
        ...

    def capture(self, function: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        """What `function` makes, at addresses that stay, and what makes it anew there. It need not be made yet."""
        ...


class CudaGraphs:  # pragma: no cover - cuda
    """One pool of memory. Whatever else runs on the device, on streams or threads of its own, may go on meanwhile."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)
        self._done = torch.cuda.Event()
        self._lock = threading.RLock()

    @contextmanager
    def turn(self) -> Generator[None]:
        stream = torch.cuda.current_stream(self._device)
        with self._lock:
            stream.wait_event(self._done)
            try:
                yield
            finally:
                self._done.record(stream)

    def capture(self, function: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            function()  # on this stream, so that its libraries have their workspaces
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Others may allocate while this thread captures; only what this one does must be fit for a graph.
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            made = function()
        return made, graph.replay


@dataclass(frozen=True)
class _Graph:
    given: list[torch.Tensor]
    made: Any
    replay: Callable[[], None]


class Captured(Generic[*Ts, R]):
    """A function that only launches kernels and may be run twice: the same call leaves the same behind.

    `reads` gives tensors that it reads or writes besides its arguments and that may be exchanged for others;
    what is not named there has to stay where it is. `ready` says whether a call is worth capturing already, and
    `quiet` is held by whoever must not be disturbed by a capture.
    """

    def __init__(
        self,
        function: Callable[[*Ts], R],
        graphs: Graphs,
        *,
        reads: Callable[[], Sequence[torch.Tensor]] = tuple,
        ready: Callable[[*Ts], bool] = lambda *given: True,
        quiet: threading.Lock,
    ) -> None:
        self._function = function
        self._graphs = graphs
        self._reads = reads
        self._ready = ready
        self._quiet = quiet
        self._known: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._calls: Counter[Hashable] = Counter()

    def __call__(self, *given: *Ts) -> R:
        # Anything but inference remembers more of a call than its numbers.
        if not torch.is_inference_mode_enabled():
            return self._function(*given)
        key = shape_of(given), *(tensor.data_ptr() for tensor in self._reads())
        with self._graphs.turn():
            graph = self._known.get(key) or self._captured(key, *given)
            if graph is None:
                return self._function(*given)
            self._known.move_to_end(key)
            for fixed, new in zip(graph.given, leaves(given), strict=True):
                fixed.copy_(new, non_blocking=True)
            graph.replay()
            return mapped(graph.made, torch.clone)

    def _captured(self, key: Hashable, *given: *Ts) -> _Graph | None:
        """The graph of a shape that has been met often enough, unless now is not the time."""
        if self._calls[key] < EAGER_CALLS or not self._ready(*given):
            self._calls[key] += 1
            if len(self._calls) > MOST_SHAPES:
                del self._calls[next(iter(self._calls))]
            return None
        if not self._quiet.acquire(blocking=False):
            return None
        try:
            fixed = mapped(given, owned)
            assert shape_of(fixed) == shape_of(given), (
                "what is captured would not be what was asked for"
            )
            made, replay = self._graphs.capture(lambda: self._function(*fixed))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise EngineError(
                f"the device cannot capture this ({type(error).__name__}): use --no-capture"
            ) from error
        finally:
            self._quiet.release()
        del self._calls[key]
        self._known[key] = _Graph(leaves(fixed), made, replay)
        if len(self._known) > MOST_GRAPHS:
            self._known.popitem(last=False)
        return self._known[key]
