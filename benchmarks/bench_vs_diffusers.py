"""sidestream against diffusers' own DreamLiteMobilePipeline, file to file, in turns in one process.

Both run nano's weights on the same clip at 256x256 and both write H.264, so that the clock covers the whole
loop: decode, restyle, encode. Diffusers goes frame by frame, which is all that its pipeline can do.

    python benchmarks/bench_vs_diffusers.py --frames 24 --rounds 3 --out benchmarks/results/vs_diffusers.jsonl

Rows: `equal` compares at equal steps, number format and vision size, without an adapter (the pipeline has none);
`own defaults` lets each run as it comes. A figure is the median over the rounds of the pairwise ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sidestream import Frame, ModelConfig, StreamConfig, Stylizer, records
from sidestream.config import Size
from sidestream.media.open import open_source
from sidestream.media.sink import open_sink
from sidestream.models import components, nano
from sidestream.models.components import Components
from sidestream.recipe import FileOptions, Recipe
from sidestream.report import environment
from sidestream.restyle import restyle
from sidestream.schedule import Plan
from sidestream.synth.scenes import demo_clip
from sidestream.types import Controls, Record, Styled

SIDE = 256
PROMPT = "transfer this to oil painting style, vibrant colors"


def upstream_pipeline(parts: Components, prefix: int, vision_size: int | None) -> Any:
    """The pipeline as released; `vision_size` overrides the 512 that it resizes the encoder's picture to."""
    from diffusers import DreamLiteMobilePipeline, FlowMatchEulerDiscreteScheduler

    # With transformers 5 the last hidden state is the normed one unless this is off; the weights want the other.
    for config in (parts.text_encoder.config, parts.text_encoder.config.text_config):
        config.tie_last_hidden_states = False
    pipeline = DreamLiteMobilePipeline(
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        processor=_processor(parts.tokenizer),
        vae=parts.vae,
        unet=parts.unet,
        scheduler=FlowMatchEulerDiscreteScheduler(**parts.scheduler),
    )
    pipeline.prompt_template_encode_edit_start_idx = prefix
    pipeline.set_progress_bar_config(disable=True)
    if vision_size is not None:
        resize = pipeline.image_processor.resize

        def smaller(image: Any, height: int, width: int, **how: Any) -> Any:
            if (
                height == width == 512
            ):  # only the encoder's picture; frames are never of that size here
                height = width = vision_size
            return resize(image, height, width, **how)

        pipeline.image_processor.resize = smaller
    return pipeline


def _processor(tokenizer: Any) -> Any:
    """Qwen's processor without its video half, which needs torchvision."""
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.processing_utils import ProcessorMixin

    class EditProcessor(transformers.Qwen3VLProcessor):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None) -> None:
            self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
            self.vision_start_token, self.vision_end_token = "<|vision_start|>", "<|vision_end|>"
            for name in ("image", "video", "vision_start", "vision_end"):
                token = getattr(self, f"{name}_token")
                setattr(self, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
            ProcessorMixin.__init__(self, image_processor, tokenizer)

    half = [0.5, 0.5, 0.5]
    pictures = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, image_mean=half, image_std=half, min_pixels=256 * 256
    )
    return EditProcessor(pictures, tokenizer)


def run_upstream(pipeline: Any, clip: Path, out: Path, steps: int) -> float:
    plan = Plan(steps, Size(SIDE, SIDE), "per_frame", "none", 0)
    start = time.perf_counter()
    with (
        open_source(clip) as source,
        open_sink(
            out, size=Size(SIDE, SIDE), rate=source.rate, metadata={}, overwrite=True
        ) as sink,
    ):
        for frame in source:
            result = pipeline(
                PROMPT,
                Image.fromarray(frame.pixels),
                height=SIDE,
                width=SIDE,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(frame.index),
            ).images[0]
            shown = Frame(np.asarray(result), frame.pts, frame.time_base, frame.index)
            sink.write(Styled(shown, frame, plan, Controls(prompt=PROMPT)))
    return time.perf_counter() - start


def run_ours(stylizer: Stylizer, clip: Path, out: Path, config: StreamConfig) -> float:
    recipe = Recipe(prompt=PROMPT, model="nano", stream=config, loading=stylizer.built.config)
    return restyle(stylizer, clip, out, recipe, FileOptions(overwrite=True)).wall_seconds


def write_clip(path: Path, frames: int) -> None:
    plan = Plan(1, Size(SIDE, SIDE), "reuse", "none", 0)
    with open_sink(path, size=Size(SIDE, SIDE), rate=Fraction(24), metadata={}) as sink:
        for frame, _ in zip(demo_clip(size=Size(SIDE, SIDE)), range(frames), strict=False):
            sink.write(Styled(frame, frame, plan, Controls(prompt=PROMPT)))


@dataclass(frozen=True)
class Row:
    name: str
    loading: ModelConfig
    stream: StreamConfig
    steps: int
    """Of upstream, as all that follows."""
    dtype: torch.dtype
    vision_size: int | None
    """None: its own."""


def rows(batch: int, formats: Sequence[str]) -> Iterator[Row]:
    size = Size(SIDE, SIDE)
    for name in formats:
        loading = ModelConfig(adapter="none", vision_size=SIDE, dtype=name)
        for steps in (4, 1):
            stream = StreamConfig(steps=steps, size=size, batch=batch)
            dtype = getattr(torch, name)
            yield Row(f"equal K={steps} {name}", loading, stream, steps, dtype, SIDE)
    yield Row("own defaults", ModelConfig(), StreamConfig(size=size), 4, torch.float32, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--formats", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/vs_diffusers.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip, asked.frames)
        for row in rows(asked.batch, asked.formats):
            record = compare(row, clip, asked.frames, asked.rounds)
            records.append(asked.out, record)
            print(row.name, {key: round(value, 2) for key, value in record.metrics.items()})


def compare(row: Row, clip: Path, frames: int, rounds: int) -> Record:
    parts = components.load(nano.FOLDER, row.dtype, torch.device("cpu"))
    pipeline = upstream_pipeline(parts, 0, row.vision_size)
    with Stylizer.load("nano", row.loading) as stylizer:
        dtype = stylizer.built.model.dtype
        pipeline.prompt_template_encode_edit_start_idx = len(
            stylizer.built.model.template.prefix_ids
        )
        out = clip.with_name("out.mp4")
        pairs = [
            (
                run_ours(stylizer, clip, out, row.stream),
                run_upstream(pipeline, clip, out, row.steps),
            )
            for _ in range(1 + rounds)
        ][1:]  # the first round warms both
    return Record(
        table="vs diffusers",
        row=row.name,
        metrics={
            "fps": frames / statistics.median(pair[0] for pair in pairs),
            "fps_diffusers": frames / statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(theirs / ours for ours, theirs in pairs),
            "ratio_min": min(theirs / ours for ours, theirs in pairs),
            "ratio_max": max(theirs / ours for ours, theirs in pairs),
        },
        config={
            "model": "nano",
            "size": f"{SIDE}x{SIDE}",
            "frames": frames,
            "rounds": rounds,
            "adapter": row.loading.adapter,
            "steps": row.stream.steps,
            "batch": row.stream.batch,
            "steps_diffusers": row.steps,
            "dtype": str(dtype).removeprefix("torch."),
            "dtype_diffusers": str(row.dtype).removeprefix("torch."),
            "vision_size": row.vision_size or nano.VISION_SIZE,
            "vision_size_diffusers": row.vision_size or 512,
            "prompt": PROMPT,
        },
        environment={
            **environment(torch.device("cpu")),
            "commit": records.commit(Path(__file__).parent),
        },
        clip="demo clip",
    )


if __name__ == "__main__":
    main()
