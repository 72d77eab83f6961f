"""When pictures are shown."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from sidestream.config_live import ShowLimits
from sidestream.live.pace import Pacer, Ticks
from sidestream.live.studio import Origin, Shown

PIXELS = np.zeros((16, 16, 3), np.uint8)


def picture(stamp: float, sequence: int, origin: Origin = "restyled") -> Shown:
    return Shown(PIXELS, stamp, sequence, 0, origin)


def test_pictures_that_come_in_bursts_are_shown_at_an_even_pace():
    """Four at a time, as from a batch of four; looked at sixty times a second."""
    pacer, shown = Pacer(), []
    for beat in range(600):
        now = beat / 60
        if beat % 8 == 0:
            for n in range(4):
                number = beat // 8 * 4 + n
                pacer.offer(picture(number / 30 - 0.2, number), now)
        current = pacer.at(now)
        if current is not None and (not shown or shown[-1][1] is not current):
            shown.append((now, current))
    steps = np.diff([now for now, _ in shown[40:]])
    assert steps.max() < 3.1 / 60
    assert len(shown) > 0.95 * 300


def test_the_delay_is_bounded():
    pacer = Pacer(ShowLimits(delay=0.5))
    for n in range(10):
        pacer.offer(picture(n, n), n + 30.0)
    assert pacer.delay == 0.5


def test_a_picture_is_taken_once_and_then_held():
    pacer = Pacer()
    assert pacer.at(0.0) is None
    assert not pacer.offer(None, 0.0)
    assert pacer.offer(picture(0.0, 1), 0.1)
    assert not pacer.offer(picture(0.0, 1), 5.0)
    first = pacer.at(0.2)
    assert pacer.at(100.0) is first is not None


def test_the_viewers_own_picture_is_shown_at_once():
    pacer = Pacer()
    pacer.offer(picture(0.0, 1), 0.9)
    pacer.offer(picture(1.0, 2), 1.9)
    own = picture(2.0, 3, "source")
    pacer.offer(own, 2.0)
    assert pacer.at(2.0) is own


def test_ticks_are_a_steady_beat():
    ticks = Ticks(Fraction(25), 10.0)
    assert [number for number, _ in ticks.due(10.1)] == [0, 1, 2]
    assert [moment for _, moment in ticks.due(10.2)] == pytest.approx([10.12, 10.16, 10.2])
    assert ticks.next == pytest.approx(10.24)


def test_what_a_machine_slept_through_is_not_made_up_for():
    ticks = Ticks(Fraction(10), 0.0)
    assert len(list(ticks.due(0.95))) == 10
    after = list(ticks.due(60.95))  # the lid was closed for a minute
    assert [number for number, _ in after] == [609]


def test_a_clock_that_stands_still_or_steps_back_gives_nothing():
    ticks = Ticks(Fraction(10), 100.0)
    assert len(list(ticks.due(100.0))) == 1
    assert list(ticks.due(100.0)) == list(ticks.due(3.0)) == []
