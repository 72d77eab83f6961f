"""What number formats cost in quality: python benchmarks/fp8.py [--records FILE] [CLIP].

Of the text states, the cosine to those in float32, over all tokens and the worst of them; of the frames, the PSNR to
those in float32. On frames that we drew, or of a clip. Eight-bit floats are emulated where the device has none, eight-bit integers need OpenVINO. The table is
drawn from the records.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from sidestream import ModelConfig, Stylizer, records
from sidestream.bench.footage import footage
from sidestream.config import Size
from sidestream.eval.results import Results
from sidestream.media.open import open_source
from sidestream.media.pixels import fit, to_unit
from sidestream.report import environment
from sidestream.types import Controls, Pixels, Record

SIZE, FRAMES = Size(256, 256), 16
PROMPTS = (
    "turn this into an oil painting",
    "turn this into a watercolor painting",
    "turn this into a pencil sketch",
    "turn this into an anime drawing",
    "turn this into a 3d render",
)
EXACT = ModelConfig(dtype="float32")
FORMATS = {
    "bfloat16": ModelConfig(dtype="bfloat16"),
    "int8, the rest bfloat16": ModelConfig(dtype="bfloat16", compile=True, int8=True),
    "fp8, the rest float32": ModelConfig(dtype="float32", fp8=True),
    "fp8, the rest bfloat16": ModelConfig(dtype="bfloat16", fp8=True),
}


class Made(NamedTuple):
    states_BLD: torch.Tensor
    """Of all prompts about all pictures."""
    frames: np.ndarray
    """At one step, and at four."""


def pictures(clip: Path | None) -> list[Pixels]:
    if clip is None:
        return list(islice(footage(SIZE, FRAMES), FRAMES))
    with open_source(str(clip)) as source:
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


def beside(found: Made, exact: Made) -> dict[str, float]:
    cosine = cosine_similarity(found.states_BLD, exact.states_BLD, dim=-1)
    squares = ((found.frames.astype(float) - exact.frames) ** 2).mean((1, 2, 3)) + 1e-9
    psnr = 10 * np.log10(255**2 / squares)
    by_steps = psnr.reshape(len(PROMPTS), 2, FRAMES).mean((0, 2))
    return {
        "cosine": float(cosine.mean()),
        "cosine_worst": float(cosine.min()),
        "psnr_k1": float(by_steps[0]),
        "psnr_k4": float(by_steps[1]),
        "psnr_worst": float(psnr.min()),
    }


def measured(clip: Path | None) -> Iterator[Record]:
    shown, name = pictures(clip), clip.stem if clip else "village"
    exact = made(EXACT, shown)
    made_by = environment(torch.device("cpu"))
    made_by |= {"commit": records.commit(Path(__file__).parent)}
    asked = {"model": "nano", "size": str(SIZE), "frames": FRAMES, "prompts": PROMPTS}
    for row, config in FORMATS.items():
        yield Record(
            table="formats",
            row=row,
            metrics=beside(made(config, shown), exact),
            config={**asked, "loading": asdict(config)},
            environment=made_by,
            clip=name,
        )


def table(found: Iterable[Record]) -> str:
    results = Results(found)

    def line(name: str) -> list[str]:
        def of(metric: str) -> float:
            return results.mean(metric, "formats", name)

        cosines = f"{of('cosine'):.5f}", f"{of('cosine_worst'):.4f}"
        return [name, *cosines, *(f"{of(f'psnr_{one}'):.1f} dB" for one in ("k1", "k4", "worst"))]

    head = ("", "cosine", "worst token", "K = 1", "K = 4", "worst frame")
    return records.table(head, map(line, FORMATS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, help="where to write what was measured, anew")
    parser.add_argument("clip", nargs="?", type=Path)
    asked = parser.parse_args()
    found = list(measured(asked.clip))
    if asked.records:
        records.write(asked.records, found)
    print(table(found))


if __name__ == "__main__":
    main()
