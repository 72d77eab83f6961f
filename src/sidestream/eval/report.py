"""What was measured, as tables beside what is wanted. Drawn from records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite

from sidestream.eval.bench import DRAWN, STEPS, UNSEEN
from sidestream.eval.findings import findings, summary
from sidestream.eval.results import Results
from sidestream.eval.streams import OFF, ON, REFERENCES, STEADY
from sidestream.records import Row, table
from sidestream.types import Record


def document(records: Iterable[Record], pictures: Sequence[str], model: str) -> str:
    """The report in Markdown."""
    results = Results(records)
    met = [one.met for one in findings(results)]
    around = results.environment
    parts = [
        f"# How well {model} restyles video it has not seen",
        f"Clips: {', '.join(results.clips)}. Commit {around.get('commit')}, sidestream"
        f" {around.get('sidestream')}, torch {around.get('torch')}, {around.get('device')}, threads"
        f" {around.get('threads')}. Every figure is a mean of records in records.jsonl.",
        f"## What is wanted: {sum(met)} of {len(met)} met",
        table(("what", "wanted", "found", "met"), map(_bold_no, summary(results))),
    ]
    for title, note, drawn in TABLES:
        lines = drawn(results)
        if len(lines) > 1:
            parts += [f"## {title}", note, table(lines[0], lines[1:])]
    parts += [f"## {name}\n\n![{name}]({name}.png)" for name in pictures]
    return "\n\n".join(parts) + "\n"


def _following(results: Results) -> list[Row]:
    still, share = results.still, results.share
    lines = [
        (
            style,
            _percent(still("own", style)),
            _number(share("distance", "input_distance", style)),
            _number(still("distance", style)),
            _number(share("l1", "input_l1", style)),
            _number(still("l1", style), 1),
            _number(still("psnr", style), 1),
            results.nearest("stills", style, steps=1),
        )
        for style in (*DRAWN, "identity")
        if results.of("stills", style, steps=1)
    ]
    head = (
        "asked for",
        "nearest to it",
        "distance left",
        "distance",
        "L1 left",
        "L1",
        "PSNR to input",
        "looks like",
    )
    return [head, *lines]


def _content(results: Results) -> list[Row]:
    still, share = results.still, results.share
    lines = [
        (
            style,
            _number(still("ssim", style)),
            _number(still("target_ssim", style)),
            _number(share("ssim", "target_ssim", style)),
            _number(still("edges", style)),
            _number(still("input_edges", style)),
        )
        for style in DRAWN
        if results.of("stills", style, steps=1)
    ]
    return [
        ("style", "SSIM to input", "target's", "ratio", "edges as the target's", "input's edges"),
        *lines,
    ]


def _steps(results: Results) -> list[Row]:
    share, still = results.share, results.still
    lines = [
        (
            style or "all",
            str(steps),
            _percent(still("own", style, steps)),
            _number(share("distance", "input_distance", style, steps)),
            _number(share("l1", "input_l1", style, steps)),
            _number(share("sobel", "target_sobel", style, steps)),
            _number(share("hf_fft", "target_hf_fft", style, steps)),
        )
        for style in (*DRAWN, None)
        for steps in STEPS
        if results.of("stills", style, steps=steps)
    ]
    return [
        (
            "style",
            "K",
            "nearest to it",
            "distance left",
            "L1 left",
            "Sobel of target's",
            "HF-FFT of target's",
        ),
        *lines,
    ]


def _steady(results: Results) -> list[Row]:
    metrics = ("warping_error", "consistency_ratio", "sobel", "hf_fft", "target_l1")
    lines = [
        (
            row,
            *(_number(results.mean(metric, "steady", row)) for metric in metrics[:-1]),
            _number(results.mean("target_l1", "steady", row)) if row in STEADY else "",
            *(
                _percent(results.steady(metric, row) - 1, "+")
                for metric in metrics[:1] + metrics[2:4]
            ),
        )
        for row in (*REFERENCES, *STEADY)
        if results.of("steady", row)
    ]
    head = ("stream", "warping error", "consistency", "Sobel", "HF-FFT", "L1 to target")
    return [(*head, "error by off", "Sobel by off", "HF-FFT by off"), *lines]


def _steady_styles(results: Results) -> list[Row]:
    lines = [
        (
            style,
            *(
                _number(results.mean(metric, "steady", row, style=style))
                for metric in ("warping_error", "sobel")
                for row in (OFF, ON)
            ),
        )
        for style in DRAWN
        if results.of("steady", ON, style=style)
    ]
    return [("style", "warping error off", "on", "Sobel off", "on"), *lines]


def _cut(results: Results) -> list[Row]:
    lines = [
        (one.row, one.clip or "", _number(one.metrics["mean"]), _number(one.metrics["max"], 0))
        for one in results.of("cut")
    ]
    return [("stream", "clip", "mean difference", "largest"), *lines]


def _unseen(results: Results) -> list[Row]:
    lines = [
        (style, _number(results.mean("ratio", "unseen", style)), results.nearest("unseen", style))
        for style in UNSEEN
        if results.of("unseen", style)
    ]
    return [("asked for", "distance left to its target", "looks like"), *lines]


def _difference(results: Results) -> list[Row]:
    lines = [
        (one.clip or "", _number(one.metrics["l1"], 1), _number(one.metrics["target_l1"], 1))
        for one in results.of("difference")
    ]
    return [("clip", "L1 between outputs", "between targets"), *lines]


def _speed(results: Results) -> list[Row]:
    lines = [
        (
            one.row,
            _number(one.metrics["fps"], 1),
            _number(one.metrics["step_fps"], 1),
            f"{one.metrics['frames']:.0f}",
            f"{one.environment.get('device')}, threads {one.environment.get('threads')}",
        )
        for one in results.of("speed")
    ]
    return [("", "fps", "in rendering alone", "frames", "machine"), *lines]


TABLES: Sequence[tuple[str, str, Callable[[Results], list[Row]]]] = (
    (
        "Prompt following",
        "K = 1, adapter off, prompts that were not trained on. Distance: colour, contrast and strokes of cells, 1 is"
        " one style from another (`following.py`); left: by that of the input. Nearest of all trained styles.",
        _following,
    ),
    (
        "Difference between prompts",
        "K = 1, in grey levels, over all pairs of the drawn styles.",
        _difference,
    ),
    ("Content", "K = 1. Edges: correlation of the gradients' lengths.", _content),
    ("Steps", "Sharpness as a share of the target's.", _steps),
    (
        "Steadiness",
        "K = 1, noise of its own for each frame unless fixed. Farneback warping error in grey levels, with sharpness"
        " beside it; the first frames of a stream, which have nothing before them, are not measured.",
        _steady,
    ),
    ("Steadiness by style", "Adapter off and on.", _steady_styles),
    (
        "Scene cut",
        "First frame after it, adapter on, against a stream that begins there, in grey levels.",
        _cut,
    ),
    ("Styles that were not trained", "K = 1, adapter off.", _unseen),
    ("Speed", "K = 1, adapter on, from file to file.", _speed),
)


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "-"


def _percent(share: float, sign: str = "") -> str:
    return f"{share:{sign}.0%}" if isfinite(share) else "-"


def _bold_no(row: dict[str, str]) -> Row:
    return (*list(row.values())[:-1], "yes" if row["met"] == "yes" else "**no**")
