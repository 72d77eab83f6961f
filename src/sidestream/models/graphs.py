"""Functions of tensors as graphs that OpenVINO computes, which is the fastest way on a CPU. Needs no compiler."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast

import torch
from torch import nn

from sidestream import disk
from sidestream.models.compile import Background, CompiledBehind
from sidestream.models.trees import leaves, mapped

P = ParamSpec("P")
R = TypeVar("R")

SUFFIX = ".blob"
KEPT = 64
"""Graphs on disk; of nano's, one takes 1 to 15 MB."""
PRECISIONS = {torch.bfloat16: "bf16", torch.float32: "f32"}

_tracing = threading.Lock()
_made: list[Path | None] = []
"""By this process, those read from disk included."""


def made() -> int:
    """How many graphs this process has made or read from disk."""
    return len(_made)


def available() -> bool:
    return find_spec("openvino") is not None


@dataclass(frozen=True)
class Converter:
    """Makes graphs of methods of one model's parts."""

    dtype: torch.dtype
    """Of the computation, and of what comes out."""
    wide: Mapping[type, object]
    """The same parts with weights in float32, by their class: what is traced is then free of casts."""
    folder: Path | None
    """Where graphs are kept, since making one takes seconds; None: nowhere."""
    identity: str
    """Of everything that the functions know besides what they are given: graphs hold the weights."""

    background: Background | None = None
    """Where graphs are made, while functions go on as they are; None: at once, when a shape is first met."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        converted: Any = Converted(function, self)
        if self.background is None:
            return converted
        return cast(Any, CompiledBehind(function, converted, self.background))

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": PRECISIONS[self.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }

    def path(self, function: Callable[..., object], given: Sequence[torch.Tensor]) -> Path | None:
        if self.folder is None:
            return None
        shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in given]
        name = getattr(function, "__qualname__", type(function).__qualname__)
        known = (name, shapes, self.dtype, self.identity, torch.get_num_threads(), _here())
        return self.folder / (hashlib.sha256(repr(known).encode()).hexdigest()[:32] + SUFFIX)


class Converted(Generic[P, R]):
    """One function: a graph for every shape it meets. What gives more than one tensor stays as it is."""

    def __init__(self, function: Callable[P, R], converter: Converter) -> None:
        self._function: Callable[..., Any] = function
        self._converter = converter
        self._graphs: dict[tuple[torch.Size, ...], _Graph | None] = {}
        self._making = threading.Lock()

    def __call__(self, *args: P.args, **_: P.kwargs) -> R:
        given = leaves(args)
        shapes = tuple(tensor.shape for tensor in given)
        if shapes not in self._graphs:
            with self._making:
                if shapes not in self._graphs:
                    self._graphs[shapes] = self._graph(args, given)
        graph = self._graphs[shapes]
        if graph is None:
            return self._function(*args)
        return cast(R, graph(given).to(self._converter.dtype))

    def _graph(self, args: tuple[Any, ...], given: Sequence[torch.Tensor]) -> _Graph | None:
        path = self._converter.path(self._function, given)
        compiled = _kept(path, self._converter.settings)
        if compiled is None:
            compiled = self._compiled(args, given)
            if compiled is None:
                return None
            if path is not None:
                disk.keep(path, _bytes(compiled), suffix=SUFFIX, newest=KEPT)
        _made.append(path)
        return _Graph(compiled)

    def _compiled(self, args: tuple[Any, ...], given: Sequence[torch.Tensor]) -> Any:
        """None where the function gives something else than a tensor."""
        import openvino

        function: Any = self._function
        owner = self._converter.wide[type(function.__self__)]
        flat = _Flat(getattr(owner, function.__name__), args)
        # What was made in inference mode cannot be traced.
        with _tracing, torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            example = tuple(_plain(tensor).clone() for tensor in given)
            if not isinstance(flat(*example), torch.Tensor):
                return None
            shapes = [list(tensor.shape) for tensor in example]
            model = openvino.convert_model(flat, example_input=example, input=shapes)
        return openvino.Core().compile_model(model, "CPU", self._converter.settings)


class _Graph:
    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = len(compiled.inputs)
        self._shape: tuple[int, ...] = tuple(compiled.output(0).shape)
        self._one_at_a_time = threading.Lock()

    def __call__(self, given: Sequence[torch.Tensor]) -> torch.Tensor:
        import openvino

        result = torch.empty(self._shape)
        output = openvino.Tensor(result.numpy(), shared_memory=True)
        arrays = [_plain(tensor).numpy() for tensor in given[: self._inputs]]
        with self._one_at_a_time:
            self._request.set_output_tensor(0, output)
            self._request.infer(arrays, share_inputs=True)
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


def _kept(path: Path | None, settings: dict[str, Any]) -> Any:
    """The graph on disk, if it is there and whole."""
    content = disk.kept(path) if path else None
    if content is None:
        return None
    import openvino

    try:
        return openvino.Core().import_model(content, "CPU", settings)
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
    import openvino

    code = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    processor = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    return (version("openvino"), torch.__version__, code.hexdigest(), processor)
