"""Which of the frames that wait form the next batch."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidestream.batching import Costs, Gathered, Waiting, gather
from sidestream.config import Size
from sidestream.types import Key

KEYS = tuple(Key(Size(side, 64), 1, (1, 32), "dis") for side in (64, 128, 256))
LATENCY, MAX_AGE = 0.25, 1.0
NOW = 100.0


def line(*frames: tuple[int, float], key: Key = KEYS[0]) -> list[Waiting]:
    """Frames of streams that arrived so many seconds ago."""
    return [Waiting(stream, key, NOW - age, NOW - age) for stream, age in frames]


def chosen(found: Gathered) -> list[int]:
    return [one.stream for one in found.chosen]


def ask(
    waiting, costs: Costs = Costs({1: 0.01, 8: 0.02}), now=NOW, largest=8, **changes
) -> Gathered:
    asked = {"latency": LATENCY, "max_age": MAX_AGE, "largest": largest, **changes}
    return gather(waiting, now, lambda key: costs, **asked)


ages = st.floats(0, 2, allow_nan=False)
waitings = st.lists(
    st.builds(
        lambda stream, key, age, more, served: Waiting(
            stream, key, NOW - age, NOW - age - more, NOW - served
        ),
        st.integers(0, 15),
        st.sampled_from(KEYS),
        ages,
        ages,
        st.floats(0, 100),
    ),
    max_size=24,
)
prices = st.builds(Costs, st.dictionaries(st.sampled_from([1, 2, 4, 8]), st.floats(1e-3, 2)))


@given(waitings, prices, st.sampled_from([1, 2, 4, 8, 16]))
def test_a_batch_has_one_fresh_frame_a_stream_and_one_key(waiting, costs, largest):
    found = ask(waiting, costs, largest=largest)
    streams = chosen(found)
    assert len(streams) == len(set(streams)) <= largest
    assert len({one.key for one in found.chosen}) <= 1
    assert all(NOW - one.arrived <= MAX_AGE for one in found.chosen)
    for one in found.chosen:
        assert one.arrived == max(o.arrived for o in waiting if o.stream == one.stream)
    assert bool(found.chosen) == any(NOW - one.arrived <= MAX_AGE for one in waiting)
    assert all(NOW - one.arrived > MAX_AGE for one in found.stale)


@given(
    st.integers(2, 12),
    st.lists(st.sampled_from(KEYS), min_size=12, max_size=12),
    prices,
    st.sampled_from([1, 2, 4, 8]),
    st.lists(st.floats(0.001, 0.5), min_size=12, max_size=12),
)
def test_nobody_starves_and_everybody_is_served_alike(count, keys, costs, largest, periods):
    """Frames come as fast as they like; as long as somebody waits, between two turns of theirs nobody has three."""
    now, turns = NOW, dict.fromkeys(range(count), 0)
    served = dict.fromkeys(turns, float("-inf"))
    since = dict.fromkeys(turns, now)
    for _ in range(20 * count):
        waiting = [
            Waiting(s, keys[s], now - (now % periods[s]) % 0.5, since[s], served[s]) for s in turns
        ]
        found = ask(waiting, costs, now, largest)
        assert found.chosen
        for one in found.chosen:
            turns[one.stream] += 1
            served[one.stream] = now
        now += costs.of(len(found.chosen)) + 1e-3
        for one in found.chosen:
            since[one.stream] = now
    assert max(turns.values()) <= 2 * min(turns.values()) + 2


def test_the_newest_frame_of_a_stream_wins():
    old, new = replace(line((0, 0.5))[0], since=NOW - 0.5), line((0, 0.1))[0]
    assert ask([new, old]).chosen == (new,)


def test_the_earliest_turn_leads_and_newer_frames_do_not_put_it_off():
    early, late = line((0, 0.01), (1, 0.05))
    early = replace(early, since=NOW - 0.1)
    assert chosen(ask([late, early], largest=1)) == [0]


def test_under_overload_the_least_recently_served_goes_first():
    slow = Costs({1: 0.5})
    first, second = line((0, 0.2), (1, 0.01))
    waiting = [replace(first, served=NOW - 1), replace(second, served=NOW - 9)]
    found = ask(waiting, slow, largest=1)
    assert (chosen(found), found.overloaded) == ([1], True)


def test_a_batch_is_as_large_as_pays():
    four = line(*((stream, 0.0) for stream in range(4)))
    assert len(ask(four, Costs({1: 0.02, 2: 0.03, 4: 0.04})).chosen) == 4
    assert len(ask(four, Costs({1: 0.02, 2: 0.05, 4: 0.1})).chosen) == 1


def test_a_batch_is_no_larger_than_the_deadline_allows():
    four = line(*((stream, 0.0) for stream in range(4)))
    costs = Costs({1: 0.1, 2: 0.15, 4: 0.26})
    assert len(ask(four, costs, latency=0.5).chosen) == 4
    assert len(ask(four, costs, latency=0.2).chosen) == 2


def test_where_all_are_late_as_many_as_pay_share_a_batch():
    four = line(*((stream, 0.5) for stream in range(4)))
    assert len(ask(four, Costs({1: 0.1, 2: 0.15, 4: 0.26})).chosen) == 4


def test_frames_of_another_key_wait_for_their_own_batch():
    mixed = line((0, 0.1), (1, 0.05)) + line((2, 0.09), key=KEYS[1])
    assert chosen(ask(mixed)) == [0, 1]


def test_what_waited_too_long_is_given_up():
    found = ask(line((0, 1.5), (1, 0.1)))
    assert chosen(found) == [1]
    assert [one.stream for one in found.stale] == [0]


def test_costs_are_learnt_and_sizes_not_tried_are_taken_to_pay():
    costs = Costs().learn(1, 0.1).learn(1, 0.2)
    assert costs.of(1) == 0.13
    assert costs.of(1) < costs.of(2) < 2 * costs.of(1)
    assert costs.of(3) == costs.of(4)
    assert Costs().of(5) == 0
