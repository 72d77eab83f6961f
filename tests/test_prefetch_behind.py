"""A consumer that runs behind: order, bounds, errors, shutdown."""

from __future__ import annotations

import threading

import pytest

from sidestream.prefetch import behind


def test_items_are_consumed_in_order_and_all_before_the_block_ends():
    taken: list[int] = []
    with behind(taken.append, depth=3) as put:
        for number in range(50):
            put(number)
    assert taken == list(range(50))


def test_the_caller_goes_on_while_an_item_is_consumed():
    gate = threading.Event()
    with behind(lambda _: gate.wait(5), depth=2) as put:
        put(1)
        put(2)
        gate.set()


def test_the_caller_waits_when_it_is_too_far_ahead():
    gate = threading.Event()
    done: list[int] = []

    def consume(item: int) -> None:
        assert gate.wait(5)
        done.append(item)

    with behind(consume, depth=1) as put:
        put(1)
        threading.Timer(0.01, gate.set).start()
        put(2)
        assert done[:1] == [1]


def test_an_error_arrives_and_nothing_after_it_is_consumed():
    taken: list[int] = []

    def consume(item: int) -> None:
        taken.append(item)
        if item == 2:
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"), behind(consume, depth=4) as put:
        for number in range(10):
            put(number)
    assert taken == [0, 1, 2]


def test_the_error_of_the_last_item_is_not_lost():
    def consume(item: int) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"), behind(consume, depth=4) as put:
        put(1)


def test_leaving_by_an_error_drops_what_waits_and_leaves_no_thread():
    gate = threading.Event()
    taken: list[int] = []

    def consume(item: int) -> None:
        assert gate.wait(5)
        taken.append(item)

    with pytest.raises(KeyError), behind(consume, depth=4) as put:
        put(1)
        put(2)
        threading.Timer(0.01, gate.set).start()
        raise KeyError
    assert taken in ([], [1])
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("sidestream-lane")
    ]
