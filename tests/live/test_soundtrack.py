"""Sound on the time of the show."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidestream.live.soundtrack import LONGEST, Soundtrack
from sidestream.media.capture import SOUND_RATE, Sound

BEGIN = 500.0


def ramp(begin: int, count: int) -> Sound:
    """Whose samples say which they are."""
    values = np.arange(begin, begin + count, dtype=np.float32)
    return Sound(np.stack((values, values)), BEGIN + begin / SOUND_RATE)


def test_pieces_come_out_joined_and_late_by_the_delay():
    track = Soundtrack(BEGIN)
    for n in range(10):
        track.add(ramp(1000 * n, 1000))
    out = np.concatenate([track.until(t / 100, 0.05) for t in range(1, 21)], axis=1)
    assert out.shape == (2, round(0.2 * SOUND_RATE))
    late = round(0.05 * SOUND_RATE)
    assert not out[:, :late].any()
    assert np.array_equal(out[0, late:], np.arange(out.shape[1] - late))


def test_where_there_is_none_it_is_silent():
    track = Soundtrack(BEGIN)
    track.add(ramp(0, 4800))
    track.add(ramp(14_400, 4800))
    out = track.until(0.4, 0.0)
    assert not out[:, 4800:14_400].any()
    assert np.array_equal(out[1, 14_400:], np.arange(14_400, 19_200))
    assert track.seconds == 0.4


def test_small_steps_between_pieces_are_joined():
    track = Soundtrack(BEGIN)
    track.add(ramp(0, 4800))
    track.add(Sound(np.ones((2, 4800), np.float32), BEGIN + 0.1 + 0.003))
    assert (track.until(0.2, 0.0)[0, 4800:] == 1).all()


def test_what_comes_too_late_is_dropped():
    track = Soundtrack(BEGIN)
    track.until(1.0, 0.0)
    track.add(ramp(0, 4800))
    assert not track.until(1.5, 0.0).any()


def test_after_a_long_sleep_one_piece_is_bounded():
    track = Soundtrack(BEGIN)
    assert track.until(3600.0, 0.0).shape[1] == LONGEST * SOUND_RATE
    assert track.seconds == 3600.0


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 3000)), max_size=20),
    st.lists(st.floats(0, 0.2), max_size=20),
    st.floats(0, 0.1),
)
def test_whatever_comes_the_time_that_goes_out_is_whole(pieces, steps, delay):
    track, place, time, out = Soundtrack(BEGIN), 0, 0.0, 0
    for gap, count in pieces:
        track.add(ramp(place + gap, count))
        place += gap + count
    for step in steps:
        time += step
        samples = track.until(time, delay)
        assert samples.shape[0] == 2
        out += samples.shape[1]
        assert out == round(time * SOUND_RATE)
