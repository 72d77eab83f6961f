"""One step ahead: order, errors, shutdown."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from sidestream.prefetch import ahead, prefetch, upload_stack


def test_items_come_in_order():
    assert list(ahead(range(100))) == list(range(100))


def test_an_empty_source_ends_at_once():
    assert list(ahead([])) == []
    assert list(prefetch([], torch.device("cpu"))) == []


def test_the_next_item_is_computed_while_the_consumer_works():
    second_started = threading.Event()

    def source():
        yield 1
        second_started.set()
        yield 2

    lane = ahead(source())
    assert next(lane) == 1
    assert second_started.wait(5)
    lane.close()


def test_it_runs_only_one_step_ahead():
    made: list[int] = []
    third = threading.Event()

    def source():
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    lane = ahead(source())
    next(lane)
    next(lane)
    assert third.wait(5)
    lane.close()
    assert made == [0, 1, 2]


def test_an_error_arrives_in_its_place_and_ends_the_lane():
    def source():
        yield 1
        raise ValueError("broken")

    lane = ahead(source())
    assert next(lane) == 1
    with pytest.raises(ValueError, match="broken"):
        next(lane)
    assert list(lane) == []


def test_leaving_early_closes_the_source_in_its_own_thread():
    closed: list[str] = []

    def source():
        try:
            yield from range(10)
        finally:
            closed.append(threading.current_thread().name)

    for _ in ahead(source()):
        break
    assert len(closed) == 1
    assert "lane" in closed[0]


def test_no_thread_is_left():
    before = threading.active_count()
    list(ahead(ahead(range(5))))
    assert threading.active_count() == before


def test_the_lane_records_no_gradients():
    flags = list(ahead(torch.is_grad_enabled() for _ in range(3)))
    assert flags == [False] * 3


def test_arrays_are_stacked_where_the_device_can_fetch_them():
    arrays = [np.full((2, 3), number, np.uint8)[:, ::-1] for number in range(4)]
    assert np.array_equal(upload_stack(arrays, torch.device("cpu")), np.stack(arrays))
