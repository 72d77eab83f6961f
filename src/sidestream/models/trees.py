"""Arguments and results of functions as trees: tensors in tuples, lists and dataclasses, with other things between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def mapped(tree: T, change: Callable[[torch.Tensor], torch.Tensor]) -> T:
    """The same tree with other tensors."""
    return _mapped(tree, change)


def leaves(tree: object) -> list[torch.Tensor]:
    """Its tensors, in order."""
    found: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    _mapped(tree, keep)
    return found


def shape_of(tree: Any) -> Hashable:
    """What two trees must have in common for the same kernels to do for both: all but the numbers in their tensors."""
    if isinstance(tree, torch.Tensor):
        return tuple(tree.shape), tree.stride(), tree.dtype, tree.device
    if isinstance(tree, tuple | list):
        return type(tree), *map(shape_of, tree)
    if is_dataclass(tree):
        return type(tree), *(shape_of(getattr(tree, field.name)) for field in fields(tree))
    return tree


def _mapped(tree: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, tuple | list):
        parts = [_mapped(part, change) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if is_dataclass(tree) and not isinstance(tree, type):
        changed = {field.name: _mapped(getattr(tree, field.name), change) for field in fields(tree)}
        return replace(tree, **changed)
    return tree


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor like it, in memory that nobody else writes to."""
    return torch.empty_like(tensor).copy_(tensor)
