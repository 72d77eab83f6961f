"""Where compiled kernels are kept between runs: a folder for each model, version and device.

The compiler writes every kernel under another name first, so that one that is there is whole, and looks it up by all
that it was made from. A folder of our own outlives restarts, which the system's for temporary files does not.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from sidestream import __version__, disk

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def keep(model: str, device: torch.device) -> Path:
    """Has torch keep kernels in the folder that is returned; one that the user has named stays."""
    named, ours = os.environ.get(VARIABLE), disk.folder("kernels")
    by_user = named and Path(named).parent != ours  # what lies in ours, an earlier model has left
    folder = Path(named) if named and by_user else ours / key(model, device)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:  # then they are made anew each time, as without this
        return folder
    os.environ[VARIABLE] = str(folder)
    return folder


def key(model: str, device: torch.device) -> str:
    parts = [
        model,
        f"sidestream {__version__}",
        f"torch {torch.__version__}",
        _triton(),
        _name(device),
    ]
    return "-".join(re.sub(r"[^\w.+]+", "_", part).strip("_") for part in parts if part)


def _triton() -> str:
    try:
        return f"triton {version('triton')}"
    except PackageNotFoundError:
        return ""


def _name(device: torch.device) -> str:
    if device.type == "cuda":  # pragma: no cover - cuda
        return torch.cuda.get_device_name(device)
    return device.type
