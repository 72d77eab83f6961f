"""What OpenVINO computes of a model on a CPU: whether it suits, which functions, and in how many bits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from sidestream import calibration, disk
from sidestream.config import ModelConfig
from sidestream.errors import ConfigError
from sidestream.models import norms, openvino
from sidestream.models.autoencoder import stride_of
from sidestream.models.components import Components
from sidestream.models.denoiser import Denoiser
from sidestream.models.dreamlite import DreamLite
from sidestream.models.instruct.encoder import LeanEncoder
from sidestream.models.instruct.template import Template

M = TypeVar("M", bound=nn.Module)

STEPS = (3,)
"""Which argument of `Denoiser.advance` all rows share."""
MULTIPLIES_INTEGERS = ("avx512_vnni", "avx_vnni", "amx_int8")
NO_INT8 = (
    "int8 is for models of at most half a billion weights in bfloat16 or float32, without fp8 and without an "
    "adapter in the U-Net: leave --int8 out"
)


def suits(parts: Components, config: ModelConfig, *, hooked: bool) -> bool:
    """Small models on a CPU, without the paper's kind of adapter: a graph would not see what is written to that."""
    unet, text_encoder = parts.unet, parts.text_encoder
    weights = sum(one.numel() for part in (unet, text_encoder) for one in part.parameters())
    known = unet.device.type == "cpu" and unet.dtype in openvino.PRECISIONS and not config.fp8
    return known and weights <= openvino.MOST_WEIGHTS and not hooked and openvino.available()


def check_int8(device: torch.device, config: ModelConfig) -> None:
    """Refuses, before anything is loaded, what cannot be done."""
    if device.type != "cpu":
        raise ConfigError(f"int8 is for a CPU, not for {device}: leave --int8 out")
    if not config.compile:
        raise ConfigError(
            "int8 is for what is compiled: give --compile as well, or leave --int8 out"
        )
    if not openvino.available():
        raise ConfigError("int8 needs OpenVINO: pip install openvino, or leave --int8 out")
    if not multiplies_integers():
        raise ConfigError(
            "int8 needs a processor with instructions for it (VNNI or AMX), which this one has not: leave --int8 out"
        )


def multiplies_integers() -> bool:
    found = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # newer than the oldest torch that will do
    return any(found.get(name, False) for name in MULTIPLIES_INTEGERS)


def converter(
    parts: Components, template: Template, vision_size: int, *, pixels: int | None = None
) -> openvino.Converter:
    """Of encoder and U-Net alone: what works on pictures is as fast or faster as it is (docs/lab-notes.md).

    `pixels`: of the pictures on which the U-Net is prepared for eight bits; None: it is not.
    """
    wide = replace(parts, unet=_wide(parts.unet), text_encoder=_wide(parts.text_encoder))
    stride = stride_of(parts.vae)
    denoiser = Denoiser(wide.unet, parts.scheduler, stride, normed=norms.by_sums)
    encoder = LeanEncoder(wide.text_encoder, template, vision_size)
    shown: Callable[[], Iterable[tuple[Any, ...]]] | None = None
    if pixels is not None:
        model = DreamLite(replace(wide, vae=_wide(parts.vae)), template, vision_size=vision_size)
        shown = partial(calibration.advances, model, pixels)
    settings = (
        dict(parts.unet.config),
        parts.text_encoder.config.to_json_string(),
        dict(parts.scheduler),
        (vision_size, template.prefix_ids, template.buckets),
    )
    functions = (denoiser.read, encoder.encode, encoder.read)
    return openvino.Converter(
        parts.unet.dtype,
        {
            denoiser.advance.__qualname__: openvino.Wide(denoiser.advance, STEPS, shown),
            **{one.__qualname__: openvino.Wide(one) for one in functions},
        },
        disk.folder("openvino"),
        _identity(settings, parts.unet, parts.text_encoder),
    )


def _identity(settings: tuple[object, ...], *modules: nn.Module) -> str:
    found = hashlib.sha256(repr(settings).encode())
    for module in modules:
        for name, tensor in module.state_dict().items():
            found.update(name.encode())
            found.update(tensor.float().contiguous().numpy().data)
    return found.hexdigest()


def _wide(module: M) -> M:
    return nn.Module.to(deepcopy(module), dtype=torch.float32)  # type: ignore[return-value]
