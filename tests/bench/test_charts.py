"""Charts, by what can be measured of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from sidestream.bench.charts import COLOURS, bars, curves, number, ticks


def area(picture, colour) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum())


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (80, [0, 20, 40, 60, 80]),
        (7.3, [0, 2, 4, 6, 8]),
        (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1200, [0, 500, 1000, 1500]),
        (0, [0, 1]),
    ],
)
def test_ticks_are_round_and_reach_the_end(end, expected):
    assert ticks(end) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.251, "0.25"), (7.0, "7"), (12.34, "12.3"), (1240.4, "1240"), (100, "100")],
)
def test_numbers_have_three_digits_or_so(value, text):
    assert number(value) == text


def test_bars_are_as_long_as_their_values():
    picture = bars("work", "ms", {"one": {"a": 10.0, "b": 5.0}, "two": {"a": 20.0}})
    first, second = (area(picture, colour) for colour in COLOURS[:2])
    assert 4.5 < (first - 150) / (second - 150) < 7  # 30 to 5, and a square in the legend


def test_a_bar_of_nothing_can_still_be_seen():
    assert area(bars("work", "ms", {"one": {"a": 0.0}}), COLOURS[0]) > 0


def test_curves_start_at_zero_and_are_told_apart_by_colour():
    flat = [(float(x), 50.0) for x in range(100)]
    picture = curves("time", "frames", "ms", {"half": flat, "whole": [(0.0, 100.0), (99.0, 100.0)]})
    half, whole = (
        np.argwhere(np.abs(picture[100:, :700].astype(int) - colour).max(axis=2) < 12)[:, 0].mean()
        if area(picture[100:, :700], colour)
        else 0
        for colour in COLOURS[:2]
    )
    assert half + 100 == pytest.approx((88 + 420) / 2, abs=4)
    assert area(picture[80:100, 100:800], COLOURS[1]) > 400
    assert whole == 0
