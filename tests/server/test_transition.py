"""What a track sends on the way to the newest picture."""

from __future__ import annotations

import numpy as np
import pytest

from sidestream.live.studio import Shown
from sidestream.server import stamp
from sidestream.server.transition import Picture, Transition


def picture(number: int, seconds: float, origin="restyled") -> Picture:
    pixels = np.full((64, 128, 3), 40 * number, np.uint8)
    shown = Shown(pixels, 10 + seconds, number, 0, origin)
    return Picture(shown, stamp.add(pixels, number))


def sent(transition: Transition, begin: float, end: float) -> list[tuple[float, int, bool]]:
    """When, how bright, and whether between."""
    found = []
    for now in np.arange(begin, end, 0.01):
        while (one := transition.due(now + 1e-9)) is not None:
            found.append((round(now - begin, 2), int(one.pixels.mean()), one.between))
    return found


def test_the_newest_goes_at_once_where_nothing_is_put_between():
    transition = Transition(interpolate=False)
    transition.offer(picture(1, 0.0), 0.0)
    assert sent(transition, 0.0, 0.1) == [(0.0, 40, False)]
    transition.offer(picture(1, 0.0), 0.1)
    assert sent(transition, 0.1, 0.3) == []
    transition.offer(picture(2, 0.1), 0.3)
    assert sent(transition, 0.3, 0.4) == [(0.0, 80, False)]


def test_between_two_pictures_it_goes_by_even_steps_and_ends_before_the_next_is_due():
    transition = Transition(interpolate=True)
    transition.offer(picture(1, 0.0), 0.0)
    assert sent(transition, 0.0, 0.1) == [(0.0, 40, False)]
    transition.offer(picture(2, 0.12), 0.2)
    assert sent(transition, 0.2, 0.32) == [
        (0.0, 50, True), (0.03, 60, True), (0.06, 70, True), (0.09, 80, False),
    ]  # fmt: skip
    assert transition.held is not None and transition.held.shown.sequence == 2


def test_a_picture_that_comes_early_is_not_kept_waiting():
    transition = Transition(interpolate=True)
    transition.offer(picture(1, 0.0), 0.0)
    sent(transition, 0.0, 0.1)
    transition.offer(picture(2, 0.1), 0.2)
    assert transition.held is None
    transition.offer(picture(3, 0.2), 0.21)
    found = sent(transition, 0.21, 0.4)
    assert found[0] == (0.0, 80, False) and found[-1] == (0.07, 120, False)
    assert [level for _, level, between in found if between] == [93, 107]


def test_from_ones_own_picture_to_a_restyled_one_there_is_nothing_between():
    transition = Transition(interpolate=True)
    transition.offer(picture(1, 0.0, "source"), 0.0)
    sent(transition, 0.0, 0.1)
    transition.offer(picture(2, 0.1), 0.2)
    assert sent(transition, 0.2, 0.4) == [(0.0, 80, False)]


def test_a_fast_stream_is_left_alone():
    transition = Transition(interpolate=True)
    transition.offer(picture(1, 0.0), 0.0)
    sent(transition, 0.0, 0.1)
    transition.offer(picture(2, 0.033), 0.1)
    assert sent(transition, 0.1, 0.2) == [(0.0, 80, False)]


def test_what_lies_between_has_the_strip_of_the_picture_before():
    transition = Transition(interpolate=True)
    transition.offer(picture(1, 0.0), 0.0)
    transition.due(0.0)
    transition.offer(picture(2, 0.1), 0.1)
    one = transition.due(0.1)
    assert one is not None and one.between
    assert stamp.read(one.stamped[..., 0]) == 1
    assert one.shown.stamp == pytest.approx(10.033, abs=0.001)
