"""Eight-bit integers in a graph of OpenVINO's: what is multiplied by weights is rounded, and so are the weights.

OpenVINO finds the rounding and multiplies integers. Weights have a scale for every output, activations a range for every
product: what their numbers lay within on pictures that were shown, all of them, since the largest carry much.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ranges = Mapping[str, tuple[float, float]]
"""Of what each operation is given, by its name."""

OUTPUTS = {"Convolution": 0, "GroupConvolution": (0, 1), "ConvolutionBackpropData": 1, "MatMul": 0}
"""Operations that multiply by weights, and which axes of these are for their outputs."""
RESHAPING = ("Reshape", "Convert")
LEVELS, WEIGHT_LEVELS = 256, 255
TINY = 1e-8


def observed(
    model: Any, compiled: Callable[[Any], Any], shown: Iterable[Sequence[Array]]
) -> Ranges:
    """What each product of a graph is given; `compiled` makes a graph that can be run, in float32."""
    names, request = _watched(model, compiled)
    lows, highs = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for given in shown:
        request.infer(list(given), share_inputs=True)
        for place in range(len(names)):
            numbers = request.get_output_tensor(1 + place).data
            lows[place] = min(lows[place], numbers.min())
            highs[place] = max(highs[place], numbers.max())
    found = zip(lows.tolist(), highs.tolist(), strict=True)
    return dict(zip(names, found, strict=True))


def _watched(model: Any, compiled: Callable[[Any], Any]) -> tuple[list[str], Any]:
    """The names of the products, and what computes their inputs, behind the graph's one result."""
    import openvino
    from openvino import opset13

    library: Any = openvino  # whose own types do not fit together
    products = [node for node, _ in _products(model)]
    given = [opset13.result(node.input_value(0)) for node in products]
    more = library.Model([*model.get_results(), *given], model.get_parameters(), "watched")
    names = [node.get_friendly_name() for node in products]
    return names, compiled(more).create_infer_request()


def shorten(model: Any, ranges: Ranges) -> None:
    """Puts the rounding into the graph."""
    rounded: dict[tuple[str, int], Any] = {}
    for node, weights in _products(model):
        source = node.input_value(0)
        key = source.get_node().get_friendly_name(), source.get_index()
        if key not in rounded:
            rounded[key] = _rounded(source, *_range(*ranges[node.get_friendly_name()]), LEVELS)
        largest = np.abs(weights).max(_summed(node, weights.ndim), keepdims=True).clip(TINY)
        short = _rounded(node.input_value(1), -largest, largest, WEIGHT_LEVELS)
        node.input(0).replace_source_output(rounded[key])
        node.input(1).replace_source_output(short)
    model.validate_nodes_and_infer_types()


def to_bytes(ranges: Ranges) -> bytes:
    return json.dumps(ranges).encode()


def from_bytes(content: bytes) -> Ranges | None:
    """None where the file was broken off."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _products(model: Any) -> list[tuple[Any, Array]]:
    """What is rounded: all but the first and the last, which see latents themselves and cost little."""
    return list(_multiplied(model))[1:-1]


def _multiplied(model: Any) -> Iterator[tuple[Any, Array]]:
    """Operations of which one side is weights, with these."""
    for node in model.get_ordered_ops():
        if node.get_type_name() in OUTPUTS:
            weights = _constant(node.input_value(1))
            if weights is not None:
                yield node, weights


def _constant(output: Any) -> Array | None:
    node, shape = output.get_node(), list(output.get_shape())
    while node.get_type_name() in RESHAPING:
        node = node.input_value(0).get_node()
    return node.data.reshape(shape) if node.get_type_name() == "Constant" else None


def _summed(node: Any, dimensions: int) -> tuple[int, ...]:
    """The axes of its weights that are summed over."""
    outputs: Any = OUTPUTS[node.get_type_name()]
    if node.get_type_name() == "MatMul" and not node.get_attributes()["transpose_b"]:
        outputs = dimensions - 1
    kept = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(axis for axis in range(dimensions) if axis not in kept)


def _range(low: float, high: float) -> tuple[float, float]:
    """What 256 steps span, zero being one of them: both sides alike, unless there is little on the lower one."""
    if low < -high / 2:
        largest = max(-low, high, TINY)
        return -largest * 128 / 127, largest
    low, high = min(low, 0.0), max(high, TINY)
    step = (high - low) / (LEVELS - 1)
    zero = round(-low / step)
    return -zero * step, (LEVELS - 1 - zero) * step


def _rounded(source: Any, low: Array | float, high: Array | float, levels: int) -> Any:
    from openvino import opset13

    ends = [opset13.constant(np.asarray(end, np.float32)) for end in (low, high, low, high)]
    return opset13.fake_quantize(source, *ends, levels).output(0)
