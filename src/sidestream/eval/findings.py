"""What is wanted of a model, and whether it was found."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from sidestream.eval.bench import DRAWN
from sidestream.eval.results import Results, ratio


@dataclass(frozen=True)
class Finding:
    """A figure, and what is wanted of it."""

    what: str
    found: float
    met: bool
    wanted: str


def findings(results: Results) -> list[Finding]:
    """Everything that something is wanted of, as far as it was measured."""
    still, share, steady = results.still, results.share, results.steady
    found = [_least("autoencoder round trip, PSNR in dB", results.mean("psnr", "autoencoder"), 28)]
    for style in DRAWN:
        found += [
            _least(f"{style}: frames nearest to their own style", still("own", style), 0.95),
            _most(f"{style}: distance left", share("distance", "input_distance", style), 0.5),
        ]
    found += [
        _least(f"{style}: SSIM, by the target's own", share("ssim", "target_ssim", style), 0.9)
        for style in DRAWN
    ]
    found += [
        _least("unchanged: PSNR to the input in dB", still("psnr", "identity"), 26),
        _most("distance left at K = 4, by that at K = 1", _four_by_one(results), 1.0),
        _least("Sobel at K = 1, by the target's", share("sobel", "target_sobel"), 0.85),
        _most("adapter on: warping error, by that without", steady("warping_error"), 0.8),
        _least("adapter on: Sobel, by that without", steady("sobel"), 0.95),
        _least("adapter on: HF-FFT, by that without", steady("hf_fft"), 0.95),
        _most(
            "after a cut: mean difference to a fresh stream",
            results.mean("mean", "cut", "cut"),
            0.5,
        ),
        _most("after a cut: largest difference", results.mean("max", "cut", "cut"), 2.0),
    ]
    return [one for one in found if isfinite(one.found)]


def summary(results: Results) -> list[dict[str, str]]:
    """The findings as rows of a table."""
    return [
        {
            "what": one.what,
            "wanted": one.wanted,
            "found": f"{one.found:.3f}",
            "met": "yes" if one.met else "no",
        }
        for one in findings(results)
    ]


def _four_by_one(results: Results) -> float:
    return ratio(results.still("distance", steps=4), results.still("distance", steps=1))


def _least(what: str, found: float, bound: float) -> Finding:
    return Finding(what, found, found >= bound, f"{bound:g} or more")


def _most(what: str, found: float, bound: float) -> Finding:
    return Finding(what, found, found <= bound, f"{bound:g} or less")
