"""Spans."""

from __future__ import annotations

import threading

import pytest

from sidestream.timing import Spans


def test_spans_add_up_by_name():
    spans = Spans()
    for _ in range(3):
        with spans("decode"):
            pass
    with spans("encode", host=True):
        pass
    assert spans.sums()["decode"].count == 3
    assert set(spans.sums()) == {"decode", "encode"}


def test_a_span_that_fails_is_counted_and_the_error_goes_on():
    spans = Spans()
    with pytest.raises(KeyError), spans("flow"):
        raise KeyError
    assert spans.sums()["flow"].count == 1


def test_lanes_may_time_at_once():
    spans = Spans()

    def work():
        for _ in range(500):
            with spans("x"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spans.sums()["x"].count == 2000
