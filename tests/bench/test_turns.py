"""Loops that take turns."""

from __future__ import annotations

from sidestream.bench.turns import Turn, in_turns


def test_all_take_turns_and_the_first_round_only_warms_up():
    said: list[str] = []

    def turn(name: str) -> Turn:
        said.append(name)
        return Turn(len(said), 0)

    turns = in_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, rounds=2)
    assert said == ["a", "b"] * 3
    assert [turn.seconds for turn in turns["a"]] == [3, 5]
