"""Functions of tensors as graphs that OpenVINO computes: of what we tried on a CPU the fastest. Needs no compiler."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import nn

from sidestream import disk
from sidestream.errors import EngineError
from sidestream.models import int8
from sidestream.models.trees import leaves, mapped

P = ParamSpec("P")
R = TypeVar("R")

SUFFIX, RANGES = ".blob", ".ranges"
MOST_BYTES = 2 << 30
"""On disk; of nano's, a graph takes 1 to 15 MB."""
MOST_WEIGHTS = 500_000_000
"""Of a model: graphs hold weights of their own, one set for every shape."""
PRECISIONS = {torch.bfloat16: "bf16", torch.float32: "f32"}

HALVES = 2
"""Of a batch, computed beside each other: cores then wait for each other once a batch, not once an operation."""

_tracing = threading.Lock()
_made: list[Path | None] = []
"""By this process, those read from disk included."""


def made() -> int:
    """How many graphs this process has made or read from disk."""
    return len(_made)


def available() -> bool:
    return find_spec("openvino") is not None


@dataclass(frozen=True)
class Wide:
    """A function with weights in float32: what is traced is then free of casts."""

    function: Callable[..., torch.Tensor]
    common: tuple[int, ...] = ()
    """Places of arguments that all rows of a batch share; of the others each row has its own."""
    shown: Callable[[], Iterable[tuple[Any, ...]]] | None = None
    """Gives examples of its arguments where it is to compute in eight bits; they say how large numbers get."""


@dataclass(frozen=True)
class Converter:
    """Makes graphs of those of a model's functions that it knows; every other one stays as it is."""

    dtype: torch.dtype
    """Of the computation, and of what comes out."""
    wide: Mapping[str, Wide]
    """The functions by their qualified names."""
    folder: Path | None
    """Where graphs are kept, since making one takes seconds; None: nowhere."""
    identity: str
    """Of everything that the functions know besides what they are given: graphs hold the weights."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        name = getattr(function, "__qualname__", "")
        if name not in self.wide:
            return function
        return cast(Callable[P, R], Converted(name, self))

    def settings(self, parts: int) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": PRECISIONS[self.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": parts,
            "PERFORMANCE_HINT": "LATENCY",
        }

    def path(
        self, name: str, given: Sequence[torch.Tensor] = (), suffix: str = SUFFIX
    ) -> Path | None:
        if self.folder is None:
            return None
        shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in given]
        short = self.wide[name].shown is not None
        settings = (self.dtype, short, torch.get_num_threads())
        known = (name, shapes, settings, self.identity, _here())
        return self.folder / (hashlib.sha256(repr(known).encode()).hexdigest()[:32] + suffix)


class Converted:
    """One function: a graph for every shape it meets."""

    def __init__(self, name: str, converter: Converter) -> None:
        self._name = name
        self._converter = converter
        self._wide = converter.wide[name]
        self._graphs: dict[tuple[torch.Size, ...], _Graph] = {}
        self._making = threading.Lock()

    def __call__(self, *args: Any) -> torch.Tensor:
        given = leaves(args)
        shapes = tuple(tensor.shape for tensor in given)
        if shapes not in self._graphs:
            with self._making:
                if shapes not in self._graphs:
                    self._graphs[shapes] = self._graph(args, given)
        return self._graphs[shapes](given).to(self._converter.dtype)

    def _graph(self, args: tuple[Any, ...], given: Sequence[torch.Tensor]) -> _Graph:
        own = self._own(args)
        rows = {len(one) if one.dim() else 1 for one, its in zip(given, own, strict=True) if its}
        parts = _parts(rows)
        settings, path = self._converter.settings(parts), self._converter.path(self._name, given)
        compiled = _kept(path, settings)
        if compiled is None:
            taken = iter(own)
            part = mapped(args, lambda one: one[: len(one) // parts] if next(taken) else one)
            model = self._model(part)
            if self._wide.shown is not None:
                int8.shorten(model, self._ranges(self._wide.shown))
            compiled = _core().compile_model(model, "CPU", settings)
            if path is not None:
                disk.keep(path, _bytes(compiled), suffix=SUFFIX, most_bytes=MOST_BYTES)
        _made.append(path)
        return _Graph(compiled, own, parts)

    def _own(self, args: tuple[Any, ...]) -> list[bool]:
        """Of each tensor, whether rows have their own."""
        common = self._wide.common
        return [place not in common for place, one in enumerate(args) for _ in leaves(one)]

    def _ranges(self, shown: Callable[[], Iterable[tuple[Any, ...]]]) -> int8.Ranges:
        """Of all shapes; found once and kept beside the graphs."""
        path = self._converter.path(self._name, suffix=RANGES)
        content = disk.kept(path) if path else None
        found = int8.from_bytes(content) if content else None
        if found is None:
            examples = list(shown())
            given = ([_plain(one).numpy() for one in leaves(example)] for example in examples)
            found = int8.observed(self._model(examples[0]), _exact, given)
            if path is not None:
                disk.keep(path, int8.to_bytes(found), suffix=RANGES, most_bytes=MOST_BYTES)
        return found

    def _model(self, args: tuple[Any, ...]) -> Any:
        import openvino

        flat, given = _Flat(self._wide.function, args), leaves(args)
        # What was made in inference mode cannot be traced.
        with _tracing, torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            example = tuple(_plain(tensor).clone() for tensor in given)
            shapes = [list(tensor.shape) for tensor in example]
            try:
                model = openvino.convert_model(flat, example_input=example, input=shapes)
            except Exception as error:  # of many kinds, its own and those of tracing
                raise EngineError(
                    f"OpenVINO cannot convert {self._name} ({type(error).__name__}): leave --compile out"
                ) from error
        assert len(model.inputs) == len(given)
        return model


def _parts(rows: set[int]) -> int:
    """In how many equal ones a batch is computed; rows that are not as many everywhere are none."""
    whole = len(rows) != 1 or rows.pop() % HALVES != 0 or torch.get_num_threads() < HALVES
    return 1 if whole else HALVES


class _Graph:
    """Computes the parts of a batch beside each other."""

    def __init__(self, compiled: Any, own: Sequence[bool], parts: int) -> None:
        self._requests = [compiled.create_infer_request() for _ in range(parts)]
        self._own = own
        rows, *rest = compiled.output(0).shape
        self._shape: tuple[int, ...] = (rows * parts, *rest)
        self._one_at_a_time = threading.Lock()

    def __call__(self, given: Sequence[torch.Tensor]) -> torch.Tensor:
        import openvino

        result = torch.empty(self._shape)
        parts = len(self._requests)
        plain = [_plain(tensor) for tensor in given]
        cut = [
            tensor.chunk(parts) if own else [tensor] * parts
            for tensor, own in zip(plain, self._own, strict=True)
        ]
        shares = [[tensor.numpy() for tensor in share] for share in zip(*cut, strict=True)]
        with self._one_at_a_time:
            for request, share, part in zip(
                self._requests, shares, result.chunk(parts), strict=True
            ):
                output = openvino.Tensor(part.numpy(), shared_memory=True)
                request.set_output_tensor(0, output)
                request.start_async(share, share_inputs=True)
            for request in self._requests:
                request.wait()
        return result


class _Flat(nn.Module):
    """A function of tensors alone, whatever they were in."""

    def __init__(self, function: Callable[..., Any], like: tuple[Any, ...]) -> None:
        super().__init__()
        self._function, self._like = function, like

    def forward(self, *tensors: torch.Tensor) -> Any:
        rest = iter(tensors)
        return self._function(*mapped(self._like, lambda _: next(rest)))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float().contiguous() if tensor.is_floating_point() else tensor.contiguous()


@cache
def _core() -> Any:
    """One for the process, which ends with it.

    Each gives its thread a stack for signals, and when it goes the one from before, which may be gone by then: the next
    signal, such as Ctrl-C, would end the process.
    """
    import openvino

    return openvino.Core()


def _exact(model: Any) -> Any:
    return _core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _kept(path: Path | None, settings: dict[str, Any]) -> Any:
    """The graph on disk, if it is there and whole."""
    content = disk.kept(path) if path else None
    if content is None:
        return None

    try:
        return _core().import_model(content, "CPU", settings)
    except (
        RuntimeError
    ):  # of another build of the library, or broken: it is made anew and written over
        return None


def _bytes(compiled: Any) -> bytes:
    content = io.BytesIO()
    compiled.export_model(content)
    return content.getvalue()


@cache
def _here() -> tuple[str, ...]:
    """What makes graphs of the same function differ: versions, our own code, the processor."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    processor = _core().get_property("CPU", "FULL_DEVICE_NAME")
    return (version("openvino"), torch.__version__, code.hexdigest(), processor)
