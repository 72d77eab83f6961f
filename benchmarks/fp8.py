"""What number formats cost in quality: python benchmarks/fp8.py [CLIP].

Of the text states, the cosine to those in float32, over all tokens and the worst of them; of the frames, the PSNR to
those in float32. On frames that we drew, or of a clip. Eight bits are emulated where the device has none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from sidestream import ModelConfig, Stylizer
from sidestream.bench.footage import footage
from sidestream.config import Size
from sidestream.console import Printer
from sidestream.media.open import open_source
from sidestream.media.pixels import fit, to_unit
from sidestream.types import Controls, Pixels

SIZE, FRAMES = Size(256, 256), 16
PROMPTS = (
    "turn this into an oil painting",
    "turn this into a watercolor painting",
    "turn this into a pencil sketch",
    "turn this into an anime drawing",
    "turn this into a 3d render",
)
FORMATS = {
    "float32": ModelConfig(dtype="float32"),
    "bfloat16": ModelConfig(dtype="bfloat16"),
    "fp8 in float32": ModelConfig(dtype="float32", fp8=True),
    "fp8 in bfloat16": ModelConfig(dtype="bfloat16", fp8=True),
}


class Made(NamedTuple):
    states_BLD: torch.Tensor
    """Of all prompts about all pictures."""
    frames: np.ndarray
    """At one step, and at four."""


def pictures() -> list[Pixels]:
    if len(sys.argv) < 2:
        return list(islice(footage(SIZE, FRAMES), FRAMES))
    with open_source(str(Path(sys.argv[1]))) as source:
        return [fit(frame.pixels, SIZE) for frame in islice(source, FRAMES)]


@torch.inference_mode()
def made(config: ModelConfig, shown: Sequence[Pixels]) -> Made:
    with Stylizer.load("nano", config) as stylizer:
        model = stylizer.built.model
        seen = to_unit(torch.from_numpy(np.stack(shown[:4])).to(model.device), model.dtype)
        states: list[torch.Tensor] = []
        frames: list[np.ndarray] = []
        for prompt in PROMPTS:
            ids = model.read(Controls(prompt=prompt))[0].ids
            asked = torch.tensor([ids] * len(seen), device=model.device)
            states.append(model.encoder.encode(seen, asked).float().cpu().flatten(0, 1))
            for steps in (1, 4):
                with stylizer.open(prompt, steps=steps, size=SIZE) as stream:
                    frames += [styled.pixels for styled in stream.run(shown)]
        return Made(torch.cat(states), np.stack(frames))


def beside(found: Made, exact: Made) -> dict[str, str]:
    cosine = cosine_similarity(found.states_BLD, exact.states_BLD, dim=-1)
    squares = ((found.frames.astype(float) - exact.frames) ** 2).mean((1, 2, 3)) + 1e-9
    psnr = 10 * np.log10(255**2 / squares)
    by_steps = psnr.reshape(len(PROMPTS), 2, FRAMES).mean((0, 2))
    return {
        "cosine": f"{cosine.mean():.5f}",
        "worst token": f"{cosine.min():.4f}",
        "PSNR, K = 1": f"{by_steps[0]:.1f} dB",
        "K = 4": f"{by_steps[1]:.1f} dB",
        "worst frame": f"{psnr.min():.1f} dB",
    }


def main() -> None:
    shown = pictures()
    exact, *others = (made(config, shown) for config in FORMATS.values())
    rows = zip(list(FORMATS)[1:], others, strict=True)
    Printer(None).table([{"format": name} | beside(found, exact) for name, found in rows])


if __name__ == "__main__":
    main()
