"""A studio over the nano that is shipped: what a viewer sees, and what faults do to them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from live.conftest import restyled, shown_when, until
from pictures import sliding
from sidestream.config import LiveConfig, ModelConfig, Size, StreamConfig
from sidestream.live import open_studio
from sidestream.live.faults import Fault, FaultPlan
from sidestream.live.process import LiveStudio
from sidestream.live.seat import LiveSeat
from sidestream.types import Controls, Pixels

SIZE = Size(64, 64)
SCENE = sliding(40, width=64, height=64)
LIVE = LiveConfig(backoff=0.05, late=1.0, hold=1.0, timeout_after_strikes=0.2)
INVERT, GREY = Controls(prompt="invert the colors"), Controls(prompt="make it black and white")


def scene(count: int) -> Pixels:
    return SCENE[count % 40]


def nano(*faults: Fault, seats: int = 2, live: LiveConfig = LIVE) -> LiveStudio:
    return open_studio(
        "nano",
        ModelConfig(dtype="float32"),
        stream=StreamConfig(size=SIZE),
        seats=seats,
        live=live,
        faults=FaultPlan(faults),
    )


def play(*seats: LiveSeat, until_: Callable[[], bool], patience: float = 100.0) -> None:
    """Hands the scene to all seats until something holds; nobody ever sees nothing."""
    end, count = time.monotonic() + patience, 0
    while count == 0 or not until_():
        assert time.monotonic() < end, [seat.stats() for seat in seats]
        for seat in seats:
            seat.submit(scene(count), time.monotonic())
            assert seat.shown() is not None
        count += 1
        time.sleep(0.03)


def made(seat: LiveSeat) -> float:
    return seat.stats()["made"]


def colourful(pixels: Pixels) -> float:
    return float(np.ptp(pixels.astype(int), axis=2).mean())


def test_eight_viewers_each_get_their_own_words(closing):
    prompts = ["make it black and white", "invert the colors"] * 4
    opened = closing(nano(seats=8))
    seats = [opened.open(Controls(prompt=prompt, size=SIZE)) for prompt in prompts]
    play(*seats, until_=lambda: all(made(seat) >= 3 for seat in seats))
    pictures = [shown_when(seat, restyled, lambda _: SCENE[0]).pixels for seat in seats]
    grey, inverted = pictures[::2], pictures[1::2]
    assert max(map(colourful, grey)) < 0.5 * min(map(colourful, inverted))
    assert {shown.pixels.shape for shown in map(LiveSeat.shown, seats)} == {(64, 64, 3)}
    assert opened.stats()["batches"] < opened.stats()["made"]


def test_a_new_prompt_is_seen_and_acknowledged_within_two_pictures(closing):
    seat = closing(nano(seats=1)).open(INVERT)
    before = shown_when(seat, restyled, lambda _: SCENE[0])
    shown = [before]
    seat.change(GREY)
    end = time.monotonic() + 60
    while shown[-1].revision < 2:
        seat.submit(SCENE[0], time.monotonic())
        found = seat.shown()
        if found.sequence > shown[-1].sequence:
            shown.append(found)
        assert time.monotonic() < end
        time.sleep(0.005)
    late = [one for one in shown[1:] if one.revision == 1]
    assert len(late) <= 2
    assert colourful(shown[-1].pixels) < 0.7 * colourful(before.pixels)


def test_a_worker_killed_in_the_middle_comes_back_with_everybodys_words(closing):
    opened = closing(nano())
    grey, inverted = opened.open(GREY), opened.open(INVERT)
    play(grey, inverted, until_=lambda: made(grey) > 2 and made(inverted) > 2)
    os.kill(opened.worker_pid, signal.SIGKILL)
    play(grey, inverted, until_=lambda: "stopped" in grey.shown().notice)
    play(grey, inverted, until_=lambda: restyled(grey.shown()) and restyled(inverted.shown()))
    start = made(grey)
    play(grey, inverted, until_=lambda: made(grey) > start + 2)
    assert colourful(grey.shown().pixels) < 0.6 * colourful(inverted.shown().pixels)
    assert opened.stats()["restarts"] == 1


def test_a_worker_that_hangs_is_replaced(closing):
    live = replace(LIVE, stuck_after=3.0)
    opened = closing(nano(Fault(point="denoise", kind="hang", at=4), seats=1, live=live))
    seat = opened.open(INVERT)
    play(seat, until_=lambda: opened.stats()["restarts"] == 1)
    play(seat, until_=lambda: restyled(seat.shown()))


def test_exceptions_in_any_lane_stop_nobody(closing):
    points = ("encode_text", "encode_image", "denoise", "decode", "batch")
    faults = [Fault(point=point, kind="raise", at=7 * n + 3) for n, point in enumerate(points)]
    opened = closing(nano(*faults))
    seats = [opened.open(GREY), opened.open(INVERT)]
    play(*seats, until_=lambda: all(made(seat) > 40 for seat in seats))
    assert opened.state.health == "degraded"
    assert opened.stats()["restarts"] == 0
    assert opened.stats()["failed"] == 0


def test_a_seat_that_fails_always_sees_themselves_and_the_others_go_on(closing):
    opened = closing(nano(Fault(point="batch", kind="raise", seat=1, times=10**9, worker=None)))
    good, bad = opened.open(GREY), opened.open(INVERT)
    play(good, bad, until_=lambda: made(good) > 20 and "several times" in bad.shown().notice)
    assert bad.shown().origin == "source"
    assert restyled(good.shown())
    assert opened.state.health == "degraded"
    assert opened.stats()["restarts"] == 0


def test_a_seat_that_failed_for_a_while_comes_back(closing):
    opened = closing(nano(Fault(point="batch", kind="raise", seat=0, times=9), seats=1))
    seat = opened.open(GREY)
    play(seat, until_=lambda: "several times" in seat.shown().notice)
    play(seat, until_=lambda: restyled(seat.shown()))
    assert seat.shown().notice == ""


def test_memory_that_runs_out_lowers_the_batch(closing):
    opened = closing(nano(Fault(point="batch", kind="out_of_memory", frames=2, times=1), seats=4))
    seats = [opened.open(GREY) for _ in range(4)]
    play(*seats, until_=lambda: opened.state.health == "degraded")
    assert "Memory ran out: at most 2 pictures" in opened.state.reason
    before = [made(seat) for seat in seats]
    play(*seats, until_=lambda: all(made(s) > b + 3 for s, b in zip(seats, before, strict=True)))
    assert opened.stats()["largest_batch"] == 2
    assert opened.stats()["restarts"] == 0


def test_a_device_that_is_lost_costs_a_restart(closing):
    opened = closing(nano(Fault(point="denoise", kind="raise", at=5, times=10**9), seats=1))
    seat = opened.open(GREY)
    play(seat, until_=lambda: opened.stats()["restarts"] == 1)
    play(seat, until_=lambda: restyled(seat.shown()))


def test_numbers_that_are_none_show_the_last_good_picture(closing):
    opened = closing(nano(Fault(point="decode", kind="nan", at=6, times=30), seats=1))
    seat = opened.open(INVERT)
    good = []

    def held() -> bool:
        shown = seat.shown()
        if restyled(shown):
            good.append(shown.pixels)
        return shown.origin == "held"

    play(seat, until_=lambda: held())
    shown = seat.shown()
    assert "last good picture" in shown.notice
    assert np.array_equal(shown.pixels, good[-1])
    play(seat, until_=lambda: restyled(seat.shown()))
    assert opened.state.health == "degraded"


def test_a_prompt_that_the_model_refuses_leaves_the_old_one(closing):
    """More tokens than are read, in few characters: only the worker can know."""
    seat = closing(nano(seats=1)).open(INVERT)
    shown_when(seat, restyled, scene)
    seat.change(replace(INVERT, prompt=" ".join("abcdefghij" * 20)))
    found = shown_when(seat, lambda shown: shown.notice != "", scene)
    assert "tokens" in found.notice
    assert found.origin == "restyled"
    seat.change(GREY)
    assert shown_when(seat, lambda shown: shown.revision == 3, scene).notice == ""


def test_the_load_failing_once_costs_a_restart(closing):
    opened = closing(nano(Fault(point="load", kind="exit"), seats=1))
    seat = opened.open(INVERT)
    assert restyled(shown_when(seat, restyled, scene))
    assert opened.stats()["restarts"] == 1


def test_a_source_that_stalls_and_returns_is_restyled_again(closing):
    seat = closing(nano(seats=1)).open(INVERT)
    last = shown_when(seat, restyled, scene)
    until(lambda: seat.shown().stamp >= last.stamp)
    time.sleep(1.5)
    assert restyled(seat.shown())
    assert restyled(shown_when(seat, lambda shown: shown.stamp > last.stamp + 1, scene))
