"""Temporal consistency and sharpness of restyled clips, by the paper's definitions. Pixels in, numbers out.

Every function takes iterables, looks at each picture once and holds two. Blur alone lowers the warping error: it is
never to be shown without `sobel` and `hf_fft` beside it, which is how `measure` gives them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, zip_longest

import numpy as np

from sidestream.errors import ConfigError
from sidestream.flow import Estimate, Mask, farneback, gather, grey, targets_of
from sidestream.types import Pixels

MOST_PSNR = 100.0
"""What equal pictures count as, in dB, so that a mean stays finite."""

MEANINGS = {
    "sobel": "edges; more is sharper",
    "hf_fft": "fine detail; more is sharper",
    "warping_error": "change that motion does not explain; less is steadier, but blur lowers it too",
    "consecutive_l1": "change from frame to frame, motion with it; less is stiller",
    "consistency_ratio": "share of that change which motion does not explain; less is steadier",
}
"""What `measure` gives, and which way is better."""

Clip = Iterable[Pixels]


@dataclass
class Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        if not self.count:
            raise ConfigError("the clip is too short to measure: give two frames or more")
        return self.total / self.count


def measure(inputs: Clip, outputs: Clip, *, flow: Estimate = farneback) -> dict[str, float]:
    """All that needs no reference, in one pass. A clip of one frame has sharpness but no consistency."""
    means: defaultdict[str, Mean] = defaultdict(Mean)
    last: tuple[Pixels, Pixels] | None = None
    for source, output in _together(inputs, outputs):
        if last is not None:
            means["warping_error"].add(warped_l1(last, (source, output), flow))
            means["consecutive_l1"].add(l1(last[1], output))
        means["sobel"].add(mixed_derivative(output))
        means["hf_fft"].add(high_frequencies(output))
        last = source, output
    values = {name: mean.value for name, mean in means.items()}
    if "warping_error" in values:
        values["consistency_ratio"] = _ratio(values["warping_error"], values["consecutive_l1"])
    return values


def warping_error(outputs: Clip, inputs: Clip, *, flow: Estimate = farneback) -> float:
    """How far outputs are from their successors moved back onto them along the inputs' flow, in grey levels."""
    return _mean(warped_l1(*pair, flow) for pair in pairwise(_together(inputs, outputs)))


def consecutive_l1(outputs: Clip) -> float:
    return _mean(l1(*pair) for pair in pairwise(outputs))


def consistency_ratio(outputs: Clip, inputs: Clip, *, flow: Estimate = farneback) -> float:
    """The share of the change between outputs that the inputs' motion does not explain."""
    error, change = Mean(), Mean()
    for before, after in pairwise(_together(inputs, outputs)):
        error.add(warped_l1(before, after, flow))
        change.add(l1(before[1], after[1]))
    return _ratio(error.value, change.value)


def reference_l1(outputs: Clip, reference: Clip) -> float:
    return _mean(l1(*pair) for pair in _together(outputs, reference))


def psnr(outputs: Clip, reference: Clip) -> float:
    """Mean over frames, in dB."""
    return _mean(_psnr(*pair) for pair in _together(outputs, reference))


def sobel(frames: Clip) -> float:
    return _mean(map(mixed_derivative, frames))


def hf_fft(frames: Clip) -> float:
    return _mean(map(high_frequencies, frames))


def l1(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())


def warped_l1(
    before: tuple[Pixels, Pixels], after: tuple[Pixels, Pixels], flow: Estimate = farneback
) -> float:
    """Between an output and the next one gathered at x + flow(input, next input). Occluded pixels count as well."""
    (source, output), (next_source, next_output) = before, after
    forward = flow(grey(source), grey(next_source))
    moved = gather(next_output.astype(np.float32), *targets_of(forward))
    return float(np.abs(output.astype(np.float32) - moved).mean())


def mixed_derivative(pixels: Pixels) -> float:
    """Mean |d2/dxdy| of a Sobel filter of 3: what the paper calls Sobel, though it is not a gradient's length."""
    import cv2

    return float(np.abs(cv2.Sobel(grey(pixels), cv2.CV_32F, 1, 1, ksize=3)).mean())


def high_frequencies(pixels: Pixels) -> float:
    """Mean magnitude of the spectrum beyond a quarter of the shorter side."""
    spectrum = np.abs(np.fft.fft2(grey(pixels).astype(np.float64)))
    return float(spectrum[high_bins(*spectrum.shape)].mean())


@lru_cache(maxsize=4)
def high_bins(height: int, width: int) -> Mask:
    y = np.arange(height)[:, None] - height // 2
    x = np.arange(width) - width // 2
    return np.fft.ifftshift(x**2 + y**2 > (min(height, width) // 4) ** 2)


def _psnr(a: Pixels, b: Pixels) -> float:
    error = float(np.square(a.astype(np.float32) - b).mean())
    return min(MOST_PSNR, 10 * np.log10(255**2 / error)) if error else MOST_PSNR


def _ratio(error: float, change: float) -> float:
    return error / change if change > 1e-8 else 0.0


def _mean(values: Iterable[float]) -> float:
    mean = Mean()
    for value in values:
        mean.add(value)
    return mean.value


def _together(a: Clip, b: Clip) -> Iterator[tuple[Pixels, Pixels]]:
    for index, (one, other) in enumerate(zip_longest(a, b)):
        if one is None or other is None:
            raise ConfigError(
                f"clips to compare must be equally long, but one ends after {index} frames: trim the other"
            )
        if one.shape != other.shape:
            raise ConfigError(
                f"pictures to compare must be of one size, got {one.shape} and {other.shape} at frame {index}"
            )
        yield one, other
