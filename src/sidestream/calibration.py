"""What a U-Net is given when pictures that we draw are restyled: to see how large its numbers get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from sidestream.config import SIZE_MULTIPLE, Size
from sidestream.media.pixels import to_unit
from sidestream.models.dreamlite import DreamLite
from sidestream.sampler import noise
from sidestream.synth.acts import village
from sidestream.synth.layers import compose
from sidestream.types import Controls

MOMENTS = (0.1, 0.35, 0.6, 0.85)
STEPS = 4
"""The first of them is what a single one is given, too."""
PROMPTS = (
    "turn this into an oil painting",
    "turn this into a watercolor painting",
    "turn this into a pencil sketch",
    "turn this into an anime drawing",
    "turn this into a 3d render",
    "make it night",
    "keep this as it is",
)


@torch.inference_mode()
def advances(model: DreamLite, pixels: int) -> Iterator[tuple[Any, ...]]:
    """Arguments of `Denoiser.advance`, at a square size of about so many pixels."""
    side = max(1, round(pixels**0.5 / SIZE_MULTIPLE)) * SIZE_MULTIPLE
    size = Size(side, side)
    layers = village(size)
    drawn = np.stack([compose(layers, moment, size) for moment in MOMENTS])
    pictures = to_unit(torch.from_numpy(drawn), model.dtype)
    source = model.encode_image(pictures)
    shape = (source.shape[1], source.shape[2], source.shape[3])
    constants = model.denoiser.steps(STEPS, size)
    for row, prompt in enumerate(PROMPTS):
        text = model.encode_text(pictures, [model.read(Controls(prompt=prompt))] * len(MOMENTS))
        latents = torch.stack([noise(row, index, shape) for index in range(len(MOMENTS))])
        for step in range(STEPS):
            given = (latents, source, text, constants, torch.full((len(latents),), step))
            yield given
            latents = model.denoiser.advance(*given)
