"""Frames on their own: is the style that was asked for there, and still the picture?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from sidestream.config import StreamConfig
from sidestream.eval import metrics
from sidestream.eval.bench import DRAWN, UNSEEN, Bench, settings, size_of, turned
from sidestream.eval.following import Ruler, nearest, paintings
from sidestream.eval.likeness import edges, ssim
from sidestream.synth.instructions import held_out
from sidestream.types import Pixels, Record

Means = dict[str, float]


@dataclass(frozen=True, eq=False)
class Still:
    """A frame of a clip with what it should become."""

    pixels: Pixels
    targets: Mapping[str, Pixels]
    unseen: Mapping[str, Pixels]
    ruler: Ruler

    @classmethod
    def of(cls, pixels: Pixels) -> Still:
        targets = paintings(pixels)
        return cls(pixels, targets, paintings(pixels, trained=False), Ruler.of(targets))


def autoencoder(bench: Bench, stills: Sequence[Still]) -> Record:
    """There and back, without restyling."""
    import torch

    from sidestream.media.pixels import to_bytes, to_unit

    model, device = bench.plain.built.model, bench.plain.built.device
    found: list[float] = []
    for pixels in (still.pixels for still in stills):
        with torch.inference_mode():
            picture = to_unit(torch.from_numpy(pixels)[None].to(device), model.dtype)
            back = to_bytes(model.decode(model.encode_image(picture)))[0].cpu().numpy()
        found.append(metrics.psnr([back], [pixels]))
    return Record(table="autoencoder", row="round trip", metrics={"psnr": _mean(found)})


def following(bench: Bench, stills: Sequence[Still], number: int = 0) -> Iterator[Record]:
    """Each style by prompts that were not trained on, each frame on its own."""
    inputs = [still.pixels for still in stills]
    first: dict[str, list[Pixels]] = {}
    for style in (*DRAWN, "identity"):
        for steps in bench.extent.steps if style in DRAWN else (1,):
            config = StreamConfig(size=size_of(inputs[0]), steps=steps)
            prompts = turned(held_out(style), number * len(stills))
            outputs = bench.restyled(inputs, prompts, config)
            if steps == 1:
                first[style] = outputs
            yield Record(
                table="stills",
                row=style,
                metrics=_likeness(stills, outputs, style),
                config={"steps": steps, "prompts": prompts, **settings(config, adapter=False)},
            )
    chosen = {style: first[style] for style in DRAWN}
    targets = {style: [still.targets[style] for still in stills] for style in DRAWN}
    yield Record(
        table="difference",
        row="between styles",
        metrics={"l1": _apart(chosen), "target_l1": _apart(targets)},
    )


def unseen(bench: Bench, stills: Sequence[Still]) -> Iterator[Record]:
    """Styles that nothing was trained on."""
    inputs = [still.pixels for still in stills]
    for style in UNSEEN:
        prompts, config = held_out(style), StreamConfig(size=size_of(inputs[0]))
        outputs = bench.restyled(inputs, prompts, config)
        own = [
            still.ruler.between(output, still.unseen[style])
            for still, output in zip(stills, outputs, strict=True)
        ]
        before = [still.ruler.between(still.pixels, still.unseen[style]) for still in stills]
        found = _shares(
            nearest(still.ruler.distances(output))
            for still, output in zip(stills, outputs, strict=True)
        )
        yield Record(
            table="unseen",
            row=style,
            metrics={"ratio": _mean(own) / _mean(before), "distance": _mean(own), **found},
            config={"steps": 1, "prompts": prompts, **settings(config, adapter=False)},
        )


@dataclass
class Sums:
    """Means of what is measured frame by frame."""

    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def means(self) -> Means:
        return {name: _mean(values) for name, values in self.values.items()}


def _likeness(stills: Sequence[Still], outputs: Sequence[Pixels], style: str) -> Means:
    """Of outputs that should look like the style, to its paintings and to the inputs."""
    sums = Sums()
    found: list[str] = []
    for still, output in zip(stills, outputs, strict=True):
        pixels, target = still.pixels, still.targets[style]
        distances = still.ruler.distances(output)
        found.append(nearest(distances))
        sums.add(
            distance=distances[style],
            input_distance=still.ruler.between(pixels, target),
            l1=metrics.l1(output, target),
            input_l1=metrics.l1(pixels, target),
            psnr=metrics.psnr([output], [pixels]),
            ssim=ssim(output, pixels),
            target_ssim=ssim(target, pixels),
            edges=edges(output, target),
            input_edges=edges(pixels, target),
            sobel=metrics.mixed_derivative(output),
            target_sobel=metrics.mixed_derivative(target),
            hf_fft=metrics.high_frequencies(output),
            target_hf_fft=metrics.high_frequencies(target),
        )
    return {**sums.means(), "own": found.count(style) / len(found), **_shares(found)}


def _shares(found: Iterable[str]) -> Means:
    """Which styles' paintings the outputs are nearest to."""
    counts = Counter(found)
    return {f"nearest {name}": count / counts.total() for name, count in counts.most_common()}


def _apart(outputs: Mapping[str, Sequence[Pixels]]) -> float:
    """L1 between two styles' outputs for the same frame, over all pairs of styles."""
    return _mean(metrics.reference_l1(a, b) for a, b in combinations(outputs.values(), 2))


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
