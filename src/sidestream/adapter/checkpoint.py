"""Adapter files: safetensors in float32, laid out as the released ones."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sidestream.adapter.lllite import COND_DIM, HIDDEN_DIM
from sidestream.adapter.sites import hook_sites
from sidestream.adapter.temporal import TemporalLLLite
from sidestream.config import LIMITS
from sidestream.errors import ModelError

KIND = "temporal_lllite"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Loaded:
    """Tensors of a file that were used, and those that were not because their section carries no hooks."""

    used: int
    dropped: int
    metadata: Mapping[str, str]
    message: str


def save(adapter: TemporalLLLite, path: Path, metadata: Mapping[str, object]) -> None:
    """Writes all weights. `metadata` says where they come from, such as `step` and `model`."""
    fixed = {"kind": KIND, "cond_emb_dim": COND_DIM, "mlp_dim": HIDDEN_DIM}
    write(path, adapter.weights(), {**metadata, **fixed})


def write(path: Path, weights: Mapping[str, torch.Tensor], metadata: Mapping[str, object]) -> None:
    """Whole or not at all."""
    strings = {key: str(value) for key, value in metadata.items()}
    tensors = {name: weight.detach().contiguous() for name, weight in weights.items()}
    unfinished = path.with_name(f"{path.name}.unfinished")
    save_file(tensors, unfinished, strings)
    unfinished.replace(path)


def load(adapter: TemporalLLLite, path: Path) -> Loaded:
    """Fills the adapter, from a file that may also hold sites of sections without hooks."""
    weights = adapter.weights()
    with opened(path) as file:
        metadata = check_kind(path, file, KIND)
        shapes = check_weights(path, file, weights)
        dropped = _check_rest(path, shapes, adapter)
        fill(weights, file)
    adapter.fold()
    message = f"{path.name}: {len(weights)} tensors used, {dropped} dropped because their sections carry no hooks"
    return Loaded(len(weights), dropped, metadata, message)


def kind_of(path: Path) -> str | None:
    """What kind of adapter a file says it holds."""
    with opened(path) as file:
        return (file.metadata() or {}).get("kind")


@contextmanager
def opened(path: Path) -> Generator[safe_open]:
    """The file, once its container is known to be sound."""
    _check_container(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ModelError(
            f"{path} is damaged or no safetensors file ({error}): fetch it again"
        ) from error


def check_kind(path: Path, file: safe_open, wanted: str) -> Mapping[str, str]:
    """What the file says of itself, when it is of this kind."""
    metadata: dict[str, str] = file.metadata() or {}
    kind = metadata.get("kind")
    if kind != wanted:
        raise ModelError(
            f"{path} must be an adapter of kind {wanted!r}, got {kind!r}: choose another file"
        )
    return metadata


def check_weights(path: Path, file: safe_open, weights: Mapping[str, torch.Tensor]) -> Shapes:
    """All shapes in the file, when those of the weights are among them."""
    found = {name: tuple(file.get_slice(name).get_shape()) for name in file.offset_keys()}
    missing = [name for name in weights if name not in found]
    if missing:
        raise ModelError(
            f"{path} lacks {len(missing)} of {len(weights)} tensors, the first {missing[0]}:"
            " use an adapter trained for this model"
        )
    for name, weight in weights.items():
        if found[name] != tuple(weight.shape):
            raise ModelError(
                f"{path} has {name} of shape {found[name]} where this model needs {tuple(weight.shape)}:"
                " use an adapter trained for this model"
            )
    return found


@torch.no_grad()
def fill(weights: Mapping[str, torch.Tensor], file: safe_open) -> None:
    for name, weight in weights.items():
        weight.copy_(file.get_tensor(name))


def _check_container(path: Path) -> None:
    """What can be refused before the file is parsed."""
    if path.suffix.lower() != ".safetensors":
        raise ModelError(
            f"{path} is no .safetensors file: adapters are read from safetensors only, convert it first"
        )
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise ModelError(f"cannot read the adapter {path}: {error.strerror}") from error
    if header > LIMITS.max_safetensors_header:
        raise ModelError(
            f"{path} claims a header of {header} bytes where {LIMITS.max_safetensors_header} are allowed:"
            " it is damaged or no safetensors file, fetch it again"
        )


def _check_rest(path: Path, found: Shapes, adapter: TemporalLLLite) -> int:
    """Tensors that are not used must belong to sites of this U-Net that are not hooked. Returns how many."""
    wanted = adapter.weights()
    rest = [name for name in found if name not in wanted]
    known = {site.key for site in hook_sites(adapter.unet)} - adapter.networks.keys()
    for name in rest:
        prefix, _, tail = name.partition(".")
        if prefix != "modules_dict" or tail.partition(".")[0] not in known:
            raise ModelError(
                f"{path} holds {name}, which is no adapter site of this model: use an adapter trained for it"
            )
    return len(rest)
