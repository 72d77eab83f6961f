"""What training ends with: a folder that loads as any model's does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from sidestream.models import zoo
from sidestream.models.components import Components


def save(parts: Components, folder: Path, pixels: int, vision_size: int) -> None:
    """In diffusers layout, in half the bytes, with the sizes at which the model is at home."""
    parts.to(torch.device("cpu"), torch.float16)
    parts.unet.save_pretrained(folder / "unet")
    parts.vae.save_pretrained(folder / "vae")
    # It writes this and, reading it again, warns of it.
    _without(folder / "vae" / "config.json", "block_out_channels")
    parts.text_encoder.config.dtype = torch.float16
    parts.text_encoder.save_pretrained(folder / "text_encoder")
    assert parts.tokenizer is not None
    parts.tokenizer.save_pretrained(folder / "tokenizer")
    _write(folder / "scheduler" / "scheduler_config.json", parts.scheduler)
    _write(folder / zoo.SIZES, {"pixels": pixels, "vision_size": vision_size})
    for weights in folder.rglob("*.safetensors"):
        _share(weights)


def save_adapter(
    write: Callable[[Path, Mapping[str, object]], None], folder: Path, steps: int
) -> None:
    """Beside a model's components, where it is found."""
    path = folder / zoo.ADAPTER
    write(path, {"model": "nano", "step": steps})
    _share(path)


def _share(weights: Path) -> None:
    """The library writes weights for their owner only."""
    weights.chmod(0o644)


def _write(path: Path, values: Mapping[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(values), indent=2) + "\n", "utf-8")


def _without(path: Path, key: str) -> None:
    config = json.loads(path.read_text("utf-8"))
    config.pop(key, None)
    _write(path, config)
