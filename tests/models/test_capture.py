"""Functions as graphs: which calls are captured, and that no batch finds another's numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from sidestream.errors import EngineError
from sidestream.models import capture
from sidestream.models.capture import Captured
from sidestream.models.trees import leaves, mapped, shape_of
from sidestream.types import TextState
from tape import Tapes


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


class Counted:
    """Adds a number, and counts how often Python gets to do so."""

    calls = 0

    def __call__(self, pictures: torch.Tensor, number: int) -> torch.Tensor:
        self.calls += 1
        return pictures * 2 + number


def test_the_first_call_of_a_shape_is_eager_the_second_captured_and_then_python_is_not_asked():
    function, tapes = Counted(), Tapes()
    captured = Captured(function, tapes, quiet=threading.Lock())
    for value in range(5):
        assert captured(torch.full((2, 3), value), 1).tolist() == [[2 * value + 1] * 3] * 2
    assert (function.calls, tapes.made, tapes.replayed) == (2, 1, 4)


def test_what_a_call_made_outlives_the_calls_after_it():
    tapes = Tapes()
    captured, other = (
        Captured(Counted(), tapes, quiet=threading.Lock()),
        Captured(torch.exp, tapes, quiet=threading.Lock()),
    )
    kept = [captured(torch.full((4,), float(value)), 0) for value in range(6)]
    for _ in range(3):
        other(torch.ones(4))
    assert [one.tolist() for one in kept] == [[2.0 * value] * 4 for value in range(6)]


def test_graphs_that_share_memory_may_take_turns_in_any_order():
    tapes = Tapes()
    double, more = (
        Captured(Counted(), tapes, quiet=threading.Lock()),
        Captured(lambda x: (x + 1).sqrt() * 3, tapes, quiet=threading.Lock()),
    )
    for turn in range(8):
        ones = torch.full((3,), float(turn % 3))
        assert torch.equal(double(ones, 0), ones * 2)
        if turn % 2:
            assert torch.equal(more(double(ones, 0)), (ones * 2 + 1).sqrt() * 3)


@pytest.mark.parametrize(
    "other",
    [
        (torch.zeros(3, 2), 1),
        (torch.zeros(2, 3, dtype=torch.float64), 1),
        (torch.zeros(3, 2).T, 1),
        (torch.zeros(2, 3), 2),
    ],
)
def test_another_shape_order_type_or_number_is_another_graph(other):
    tapes = Tapes()
    captured = Captured(Counted(), tapes, quiet=threading.Lock())
    for given in ((torch.zeros(2, 3), 1), other) * 3:
        assert torch.equal(captured(*given), given[0] * 2 + given[1])
    assert tapes.made == 2


def test_what_is_written_in_place_between_calls_is_read():
    state = torch.zeros(3)
    captured = Captured(lambda x: x + state, Tapes(), quiet=threading.Lock())
    for value in range(4):
        state.fill_(value)
        assert captured(torch.ones(3)).tolist() == [1 + value] * 3


def test_what_is_exchanged_is_captured_again_where_the_function_names_it():
    held, tapes = [torch.zeros(3)], Tapes()
    captured = Captured(lambda x: x + held[0], tapes, reads=lambda: held, quiet=threading.Lock())
    for value in (1, 1, 1, 2, 2, 2):
        if held[0][0] != value:
            held[0] = torch.full((3,), float(value))
        assert captured(torch.zeros(3)).tolist() == [value] * 3
    assert tapes.made == 2


def test_a_function_may_write_where_it_is_told():
    bank = torch.zeros(4, 2)
    captured = Captured(
        lambda rows, x: (bank.index_copy_(0, rows, x), None)[1], Tapes(), quiet=threading.Lock()
    )
    for row in (0, 1, 2, 3):
        assert captured(torch.tensor([row]), torch.full((1, 2), float(row + 1))) is None
    assert bank[:, 0].tolist() == [1, 2, 3, 4]


def test_nothing_is_captured_while_somebody_must_not_be_disturbed():
    quiet, tapes = threading.Lock(), Tapes()
    captured = Captured(Counted(), tapes, quiet=quiet)
    with quiet:
        for _ in range(3):
            captured(torch.zeros(2), 0)
    assert tapes.made == 0
    captured(torch.zeros(2), 0)
    assert tapes.made == 1 and not quiet.locked()


def test_nothing_is_captured_before_it_is_ready():
    said, tapes = [False, False, True], Tapes()
    captured = Captured(
        Counted(), tapes, ready=lambda x, number: said.pop(0), quiet=threading.Lock()
    )
    for made in (0, 0, 0, 1, 1):
        captured(torch.zeros(2), 0)
        assert tapes.made == made


def test_graphs_that_were_used_longest_ago_go(monkeypatch):
    monkeypatch.setattr(capture, "MOST_GRAPHS", 2)
    tapes = Tapes()
    captured = Captured(torch.neg, tapes, quiet=threading.Lock())
    for size in (1, 2, 1, 2, 3, 3):
        captured(torch.zeros(size))
    assert tapes.made == 3
    captured(torch.zeros(2))
    assert tapes.made == 3
    captured(torch.zeros(1)), captured(torch.zeros(1))
    assert tapes.made == 4


def test_only_inference_is_captured():
    function, tapes = Counted(), Tapes()
    captured = Captured(function, tapes, quiet=threading.Lock())
    with torch.inference_mode(False):
        for _ in range(3):
            captured(torch.zeros(2), 0)
    assert (function.calls, tapes.made) == (3, 0)


@pytest.mark.parametrize(
    "function", [lambda x: x * x.sum().item(), lambda x: x[x > 0], lambda x: x + torch.tensor(1.0)]
)
def test_what_a_graph_cannot_hold_is_an_error(function: Callable[[torch.Tensor], torch.Tensor]):
    captured = Captured(function, Tapes(), quiet=threading.Lock())
    captured(torch.ones(2))
    with pytest.raises(EngineError, match="use --no-capture"):
        captured(torch.ones(2))


def test_calls_from_several_threads_take_turns():
    captured, wrong = Captured(lambda x: (x + 1) * 2, Tapes(), quiet=threading.Lock()), []

    def work(value: float) -> None:
        with torch.inference_mode():
            for _ in range(50):
                wrong.extend([value] * (captured(torch.full((8,), value))[0] != (value + 1) * 2))

    threads = [threading.Thread(target=work, args=(float(value),)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Pair(NamedTuple):
    first: torch.Tensor
    rest: list[tuple[torch.Tensor, int]]


def test_trees_keep_their_kind():
    text = TextState(torch.zeros(1), torch.zeros(2), torch.zeros(3))
    tree = Pair(torch.zeros(4), [(torch.zeros(5), 7)]), text, None, "a", torch.int32
    assert [len(one) for one in leaves(tree)] == [4, 5, 1, 2, 3]
    moved = mapped(tree, lambda tensor: tensor + 1)
    assert isinstance(moved[0], Pair) and isinstance(moved[1], TextState)
    assert moved[0].rest[0][1] == 7 and moved[2:] == tree[2:]
    assert all(one.min() == 1 for one in leaves(moved))
    assert shape_of(moved) == shape_of(tree) != shape_of(tree[:-1])
    assert hash(shape_of(tree)) == hash(shape_of(moved))
