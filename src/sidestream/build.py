"""The only file that names concrete classes together: a model by name becomes an engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sidestream.adapter import checkpoint
from sidestream.adapter.temporal import TemporalLLLite, attach, randomise
from sidestream.config import LIMITS, ModelConfig
from sidestream.engine import Engine
from sidestream.errors import ConfigError, ModelError
from sidestream.models import components, zoo
from sidestream.models.autoencoder import stride_of
from sidestream.models.compile import INDUCTOR
from sidestream.models.components import Components
from sidestream.models.dreamlite import DreamLite
from sidestream.models.instruct.template import Template
from sidestream.render import SCRATCH_ROWS


@dataclass(frozen=True, eq=False)
class Built:
    entry: zoo.Entry
    config: ModelConfig
    model: DreamLite
    engine: Engine
    device: torch.device
    notes: tuple[str, ...] = ()


def build(name: str, config: ModelConfig, backend: str = INDUCTOR) -> Built:
    """Loads the model and its adapter and puts an engine round them; `backend` is what compiles, if asked for."""
    device = pick_device(config.device)
    dtype = pick_dtype(config.dtype, device)
    entry = zoo.find(name, config.revision)
    zoo.announce(entry.name, entry.licence)
    parts = _components(entry, config, device, dtype)
    template = Template.of(parts.tokenizer) if parts.tokenizer else Template.stand_in()
    adapter, notes = _adapter(entry, config, parts)
    model = DreamLite(
        parts,
        template,
        vision_size=config.vision_size,
        compile_backend=backend if config.compile else None,
    )
    engine = Engine(model, adapter, device, dtype, config.flow_threads)
    return Built(entry, config, model, engine, device, notes)


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
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return getattr(torch, name)


def _components(
    entry: zoo.Entry, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> Components:
    if entry.weights is not None:
        remote = entry.weights
        revision = config.revision or remote.revision
        folder = components.download(remote.repository, revision, offline=config.offline)
        return components.load(folder, dtype, device)
    if entry.name == "nano":
        from sidestream.models.nano import provisional

        return provisional.components().to(device, dtype)
    if entry.name == "twin":
        from sidestream.models import twin

        return twin.components(device, dtype)
    return components.load(Path(entry.name), dtype, device)


def _adapter(
    entry: zoo.Entry, config: ModelConfig, parts: Components
) -> tuple[TemporalLLLite | None, tuple[str, ...]]:
    """The adapter that was asked for, attached, and what there is to say about it."""
    if config.adapter == "none":
        return None, ()
    path: Path | None = None
    if config.adapter != "default":
        path = Path(config.adapter)
        if not path.is_file():
            raise ModelError(
                f"there is no adapter file {path}: give none, default or a .safetensors file"
            )
    elif entry.adapter is not None:
        remote = entry.adapter
        path = components.download_file(
            remote.repository, remote.file, remote.sha256, offline=config.offline
        )
    elif entry.name not in ("nano", "twin"):
        return None, ()
    adapter = attach(
        parts.unet,
        config.hooks,
        rows=SCRATCH_ROWS + LIMITS.max_streams,
        latent_stride=stride_of(parts.vae),
    )
    if path is None:
        randomise(adapter, seed=0, gain=2.0)
        return adapter, ()
    report = checkpoint.load(adapter, path)
    return adapter, (report.message,) if report.dropped else ()
