"""Work counted while it is done: operations, bytes, and where the host must wait. Of models that are not compiled."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from sidestream.timing import Spans

aten = torch.ops.aten

WAITS = {
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose"),
    *("nonzero", "nonzero_numpy", "argwhere", "masked_select"),
    *("_unique2", "unique_dim", "unique_consecutive", "bincount"),
}
"""Operations whose result the host has to see before it can go on."""
PICKS = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Those where that depends on whether places are given by number or by a mask, whose places must be counted first."""


@dataclass(frozen=True)
class Work:
    flops: float = 0
    constant_bytes: float = 0
    """Weights and tables: what was there before and was read, each once."""
    activation_bytes: float = 0
    """All else that operations read and wrote; fused kernels and caches spare some of it."""
    operations: int = 0
    """But for views, which move nothing."""
    waits: int = 0
    """How often the host had to wait for the device."""

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.constant_bytes + other.constant_bytes,
            self.activation_bytes + other.activation_bytes,
            self.operations + other.operations,
            self.waits + other.waits,
        )


class WorkSpans(Spans):
    """Sums the work of every named span, in place of its time."""

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Work] = {}
        self._made: set[int] = set()
        """Where results were written. A place is given to others once it is free, but never that of a constant."""

    @contextmanager
    def __call__(self, name: str, *, host: bool = False) -> Generator[None]:
        traffic = _Traffic(self._made)
        with traffic, _flop_counter() as counter:
            yield
        done = Work(
            float(counter.get_total_flops()),
            float(sum(traffic.constants.values())),
            float(traffic.moved),
            traffic.operations,
            traffic.waits,
        )
        self.work[name] = self.work.get(name, Work()) + done


class _Traffic(TorchDispatchMode):
    """Sees every operation that reaches a kernel."""

    def __init__(self, made: set[int]) -> None:
        super().__init__()
        self._made = made
        self.constants: dict[tuple[int, int, int], int] = {}
        """Bytes by where a part of a storage begins and how large it is: parts of one tensor add up."""
        self.moved = 0
        self.operations = 0
        self.waits = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.waits += must_wait(func, args)
        read, written = list(_tensors((args, kwargs))), list(_tensors(result))
        places = {_place(one) for one in read}
        if not func._schema.is_mutable and any(_place(one) in places for one in written):
            return result
        self.operations += 1
        for one in read:
            if _place(one) in self._made:
                self.moved += _size(one)
            else:
                begin = int(one.storage_offset())
                self.constants[_place(one), begin, _size(one)] = _size(one)
        self.moved += sum(map(_size, written))
        self._made.update(map(_place, written))
        return result


def must_wait(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether the host waits for the device when this operation is called so."""
    name = func._schema.name.removeprefix("aten::")
    masks = (torch.bool, torch.uint8)
    if name in PICKS:
        return any(one.dtype in masks for one in _tensors(args[1]))
    return name in WAITS or (name == "repeat_interleave" and func._overloadname == "Tensor")


def _flop_counter() -> FlopCounterMode:
    """Knows attention on a CPU too."""
    return FlopCounterMode(
        display=False,
        custom_mapping={aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops},
    )


def _attention_flops(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
