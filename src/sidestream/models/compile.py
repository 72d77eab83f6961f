"""The only place that compiles. Fixed shapes, whole graphs: what cannot be compiled is an error, not a slow run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, TypeVarTuple

import torch

from sidestream.errors import EngineError
from sidestream.models.trees import leaves, mapped, owned, shape_of

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
R = TypeVar("R")

INDUCTOR = "inductor"
SHAPES = 1024


Backend = str | Callable[..., Any]
"""What compiles: one of torch's by name, or one's own."""


class Faster(Protocol):
    """Makes of a function of tensors one that computes the same, faster; or leaves it as it is."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def as_it_is(function: Callable[P, R], /) -> Callable[P, R]:
    return function


def compiled(function: Callable[P, R], /, backend: Backend) -> Callable[P, R]:
    """Compiled once for every shape it meets."""
    inner = torch.compile(function, fullgraph=True, dynamic=False, backend=backend)

    def call(*given: P.args, **named: P.kwargs) -> R:
        _allow_shapes()
        try:
            return inner(*given, **named)
        except torch._dynamo.exc.TorchDynamoException as error:  # pyright: ignore
            raise EngineError(
                f"torch cannot compile this here ({type(error).__name__}): leave --compile out"
            ) from error

    return call


def _allow_shapes() -> None:
    """Every text bucket, batch, size and K is a shape of its own: many, but each is compiled once."""
    limits: Any = torch._dynamo.config  # pyright: ignore[reportPrivateUsage] - it has no public name
    if limits.recompile_limit < SHAPES:  # which every thread has for itself
        limits.recompile_limit = SHAPES
        limits.accumulated_recompile_limit = 8 * SHAPES


class Background:
    """A thread that compiles, one shape after the other."""

    def __init__(self) -> None:
        self.quiet = threading.Lock()
        """Held while it compiles, which uses the device in ways that a capture would not survive."""
        self.closed = False
        self._thread = ThreadPoolExecutor(1, "sidestream-compile")

    def submit(self, function: Callable[[*Ts], object], *given: *Ts) -> Future[None]:
        """Has the function called with copies of what is given."""
        copies = mapped(given, owned)
        beside: AbstractContextManager[None] = nullcontext()
        on_cuda = [one.device for one in leaves(copies) if one.is_cuda]
        if on_cuda:  # pragma: no cover - cuda
            copied = torch.cuda.Event()
            copied.record(torch.cuda.current_stream(on_cuda[0]))
            beside = _beside(copied, on_cuda[0])
        threads = torch.get_num_threads()

        def call() -> None:
            torch.set_num_threads(threads)  # or what is compiled here would not do elsewhere
            with self.quiet, torch.inference_mode(), beside:
                function(*copies)

        return self._thread.submit(call)

    def close(self) -> None:
        """What has begun is finished, by itself."""
        self.closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


class CompiledBehind(Generic[*Ts, R]):
    """Runs a function as it is until a background has compiled it for the shapes that it is given."""

    def __init__(
        self, function: Callable[[*Ts], R], faster: Callable[[*Ts], R], background: Background
    ) -> None:
        """`faster` compiles when it is first called with a shape."""
        self._function = function
        self._compiled = faster
        self._background = background
        self._shapes: dict[Hashable, Future[None]] = {}

    def ready(self, *given: *Ts) -> bool:
        """Whether it is compiled; where it is not, that is asked for."""
        shape = shape_of(given)
        if self._background.closed:
            return False
        if shape not in self._shapes:
            self._shapes[shape] = self._background.submit(self._compiled, *given)
        coming = self._shapes[shape]
        if not coming.done():
            return False
        try:
            coming.result()
        except torch.OutOfMemoryError:  # of both at once; there may be room for it later
            del self._shapes[shape]
            return False
        return True

    def __call__(self, *given: *Ts) -> R:
        now = torch.is_inference_mode_enabled() and self.ready(*given)
        return self._compiled(*given) if now else self._function(*given)


@contextmanager
def _beside(
    copied: torch.cuda.Event, device: torch.device
) -> Generator[None]:  # pragma: no cover - cuda
    """A stream of the thread's own, once the copies are made; what was launched there has ended when it is left."""
    copied.synchronize()
    stream = torch.cuda.Stream(device)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        stream.synchronize()
