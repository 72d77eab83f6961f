"""The only file that names concrete classes together: a model by name becomes an engine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from sidestream import graphs
from sidestream.adapter import checkpoint, detail
from sidestream.adapter.detail import TemporalDetail
from sidestream.adapter.temporal import TemporalLLLite, attach, randomise
from sidestream.config import LIMITS, ModelConfig
from sidestream.engine import Engine
from sidestream.errors import ConfigError, ModelError
from sidestream.models import components, fp8, kernels, openvino, zoo
from sidestream.models.autoencoder import stride_of
from sidestream.models.compile import INDUCTOR, Background, Faster, as_it_is, compiled
from sidestream.models.components import Components
from sidestream.models.dreamlite import DreamLite
from sidestream.models.instruct.template import Template
from sidestream.models.lanes import Lanes
from sidestream.render import SCRATCH_ROWS

COMPILERS = ["g++", "clang++", "c++"]
SLOW = "compiling takes minutes on this CPU"
WITHOUT = ", for a small model seconds with OpenVINO: pip install openvino"

Adapter = TemporalLLLite | TemporalDetail


@dataclass(frozen=True, eq=False)
class Built:
    entry: zoo.Entry
    config: ModelConfig
    model: DreamLite
    engine: Engine
    device: torch.device
    lanes: Lanes = Lanes()
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        self.engine.close()
        self.lanes.close()


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model's components where they will run, and its adapter; one for the U-Net is attached to it."""

    entry: zoo.Entry
    parts: Components
    adapter: Adapter | None
    notes: tuple[str, ...] = ()


def build(
    name: str, config: ModelConfig, backend: str | None = None, *, behind: bool = False
) -> Built:
    """Loads the model and its adapter and puts an engine round them.

    `backend` is what compiles where a certain one is wanted; `behind`: while frames go on uncompiled.
    """
    if config.int8:
        graphs.check_int8(pick_device(config.device), config)
    found = load(name, config)
    background = Background() if config.compile and behind else None
    lanes = Lanes.on(
        found.parts.unet.device,
        _faster(found, config, backend) if config.compile else as_it_is,
        background=background,
        capture=config.capture,
    )
    return assemble(found.entry, found.parts, found.adapter, config, lanes, found.notes)


def _faster(found: Loaded, config: ModelConfig, backend: str | None) -> Faster:
    """By OpenVINO on a CPU, where that is here and suits the model; else by torch."""
    hooked = isinstance(found.adapter, TemporalLLLite)
    suits = graphs.suits(found.parts, config, hooked=hooked)
    if config.int8 and not suits:
        raise ConfigError(graphs.NO_INT8)
    if backend is None and suits:
        return _converter(found, config)
    if backend is None:
        _check_compiler(found.parts.unet.device)
        if found.parts.unet.device.type == "cpu":
            sys.stderr.write(f"sidestream: {SLOW}{'' if openvino.available() else WITHOUT}\n")
        kernels.keep(found.entry.name, found.parts.unet.device)
    return partial(compiled, backend=backend or INDUCTOR)


def _converter(found: Loaded, config: ModelConfig) -> Faster:
    vision_size = config.vision_size or found.entry.vision_size
    pixels = found.entry.pixels if config.int8 else None
    return graphs.converter(found.parts, template_of(found.parts), vision_size, pixels=pixels)


def _check_compiler(device: torch.device) -> None:
    named = shlex.split(os.environ.get("CXX", ""))[:1] or COMPILERS
    if device.type == "cpu" and not any(map(shutil.which, named)):
        raise ConfigError(
            "there is nothing to compile with on this CPU: install OpenVINO (pip install openvino) "
            "or a C++ compiler, or leave --compile out"
        )


def load(name: str, config: ModelConfig) -> Loaded:
    device = pick_device(config.device)
    dtype = pick_dtype(config.dtype, device)
    note = fp8.check(device, dtype) if config.fp8 else ""
    entry = zoo.find(name, config.revision)
    parts = _components(entry, config, device, dtype)
    zoo.announce(entry.name, entry.licence)
    adapter, notes = _adapter(entry, config, parts)
    if config.fp8:
        fp8.shorten(parts)
        notes += (note,) if note else ()
    return Loaded(entry, parts, adapter, notes)


def assemble(
    entry: zoo.Entry,
    parts: Components,
    adapter: Adapter | None,
    config: ModelConfig,
    lanes: Lanes = Lanes(),
    notes: tuple[str, ...] = (),
) -> Built:
    """An engine round components that are where they will run, and an adapter that is there or attached to them."""
    hooked = adapter if isinstance(adapter, TemporalLLLite) else None
    model = DreamLite(
        parts,
        template_of(parts),
        vision_size=config.vision_size or entry.vision_size,
        lanes=lanes,
        hooked=hooked.banks if hooked else tuple,
    )
    engine = Engine(
        model,
        hooked,
        model.device,
        model.dtype,
        config.flow_threads,
        detail=adapter if isinstance(adapter, TemporalDetail) else None,
        lanes=lanes,
    )
    return Built(entry, config, model, engine, model.device, lanes, notes)


def template_of(parts: Components) -> Template:
    return Template.of(parts.tokenizer) if parts.tokenizer else Template.stand_in()


def attached(parts: Components, config: ModelConfig) -> TemporalLLLite:
    """A fresh adapter in the model's U-Net, with room for every stream."""
    rows = SCRATCH_ROWS + LIMITS.max_streams
    return attach(parts.unet, config.hooks, rows=rows, latent_stride=stride_of(parts.vae))


def auto_batch(*, live: bool) -> int:
    """Frames per batch where none were asked for. The same for every model and device, since pixels depend on it."""
    return 1 if live else 8


def pick_device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} is not here: use auto, cpu, or see `sidestream doctor`"
        ) from error
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        return getattr(torch, name)
    fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_bfloat16())
    return torch.bfloat16 if fast else torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; one that does not would emulate it, slowly."""
    asked = getattr(torch.cpu, "get_capabilities", dict)  # newer than the oldest torch that will do
    found = asked()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _components(
    entry: zoo.Entry, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> Components:
    folder = entry.weights
    if folder is None:
        from sidestream.models import twin

        return twin.components(device, dtype)
    if isinstance(folder, zoo.Remote):
        revision = config.revision or folder.revision
        folder = components.download(folder.repository, revision, offline=config.offline)
    return components.load(folder, dtype, device)


def _adapter(
    entry: zoo.Entry, config: ModelConfig, parts: Components
) -> tuple[Adapter | None, tuple[str, ...]]:
    """The adapter that was asked for, attached, and what there is to say about it."""
    if config.adapter == "none":
        return None, ()
    path = entry.adapter if config.adapter == "default" else Path(config.adapter)
    if path is None and entry.weights is not None:
        return None, ()
    if isinstance(path, zoo.RemoteFile):
        path = components.download_file(
            path.repository, path.file, path.sha256, offline=config.offline
        )
    if path is not None and not path.is_file():
        raise ModelError(
            f"there is no adapter file {path}: give none, default or a .safetensors file"
        )
    if path is not None and checkpoint.kind_of(path) == detail.KIND:
        return detail.load(path).to(parts.unet.device), ()
    adapter = attached(parts, config)
    if path is None:  # what is built in memory has random weights, and so has its adapter
        randomise(adapter, seed=0, gain=2.0)
        return adapter, ()
    report = checkpoint.load(adapter, path)
    return adapter, (report.message,) if report.dropped else ()
