"""The queue for a seat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.config_live import ServerLimits
from sidestream.server.line import Line
from sidestream.server.refusal import Refusal


def refused(line: Line, ticket: str | None = None, free: int = 0, now: float = 0):
    with pytest.raises(Refusal) as caught:
        line.enter(ticket, free, now)
    return caught.value


def test_a_free_seat_is_nobodys_but_the_first_in_line():
    line = Line()
    first, second = refused(line).body["ticket"], refused(line).body["ticket"]
    assert refused(line, None, free=1).body["place"] == 3
    assert refused(line, second, free=1).body["place"] == 2
    line.enter(first, free=1, now=0)
    line.enter(second, free=1, now=0)
    assert len(line) == 1


def test_who_does_not_ask_again_loses_the_place():
    line = Line(ServerLimits(ticket_seconds=10))
    ticket = refused(line, now=0).body["ticket"]
    refused(line, ticket, now=9)
    refused(line, ticket, now=18)
    line.enter(None, free=1, now=40)
    assert refused(line, ticket, now=40).body["ticket"] != ticket


def test_the_line_is_bounded():
    line = Line(ServerLimits(waiting=2))
    refused(line), refused(line)
    over = refused(line)
    assert "ticket" not in over.body
    assert over.headers == {"retry-after": "30"}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40))
def test_nobody_is_overtaken(moves):
    line, tickets, served = Line(), dict[int, str](), list[int]()
    order: list[int] = []
    for who, free in moves:
        if who in served:
            continue
        try:
            line.enter(tickets.get(who), free, now=0)
            served.append(who)
            assert order.index(who) < free if who in order else len(order) < free
            order = [one for one in order if one != who]
        except Refusal as refusal:
            tickets[who] = str(refusal.body["ticket"])
            order += [who] * (who not in order)
            assert refusal.body["place"] == order.index(who) + 1
