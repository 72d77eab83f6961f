"""A studio over a process that may be replaced, with bodies that need no model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from live import bodies
from live.conftest import blocks, flat, restyled, shown_when, until
from sidestream.config import LIMITS, ModelConfig, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.errors import ConfigError, FullError, ModelError, PromptError
from sidestream.live import open_studio
from sidestream.live.process import LiveStudio
from sidestream.types import Controls

QUICK = LiveConfig(backoff=0.05, stuck_after=0.5, late=0.2, hold=0.3, close_timeout=0.5)
INK = Controls(prompt="ink")


def studio(
    body=bodies.invert,
    live: LiveConfig = QUICK,
    seats: int = 2,
    config: StreamConfig = StreamConfig(size=Size(64, 64)),
) -> LiveStudio:
    return open_studio("nano", ModelConfig(), stream=config, seats=seats, live=live, body=body)


def ok(opened: LiveStudio) -> bool:
    return opened.state.health in ("ok", "degraded") and not opened.state.reason.endswith("again.")


def test_what_was_handed_in_comes_back_changed(closing):
    opened = closing(studio())
    seat = opened.open(INK)
    assert seat.shown() is None
    found = shown_when(seat, restyled, lambda count: flat(40))
    assert (found.pixels == 215).all()
    assert (found.notice, found.revision) == ("", 1)
    assert opened.state.health == "ok"


def test_until_the_model_is_there_a_viewer_sees_themselves(closing):
    opened = closing(studio())
    seat = opened.open(INK)
    seat.submit(flat(7), 1.0)
    found = seat.shown()
    assert (found.origin, found.notice) == ("source", "The model is being loaded.")
    assert (found.pixels == 7).all()
    assert opened.state.health == "starting"


def test_frames_of_any_size_are_brought_to_the_working_size(closing):
    seat = closing(studio()).open(replace(INK, size=Size(64, 32)))
    for width, height in ((1920, 1080), (33, 400), (16, 16)):
        seat.submit(flat(9, width, height), 0.0)
        assert seat.shown().pixels.shape == (32, 64, 3)


@pytest.mark.parametrize("shape", [(4096, 64), (64, 4096), (17, 900)])
def test_a_shape_that_the_model_does_not_suit_has_room_all_the_same(closing, shape):
    seat = closing(studio(config=StreamConfig())).open(INK)
    seat.submit(flat(9, *shape), 0.0)
    assert seat.shown().pixels.size <= seat._lease.layout.frame_bytes


def test_a_seat_that_names_no_size_works_at_the_studios(closing):
    seat = closing(studio()).open(INK)
    seat.submit(flat(9, 300, 200), 0.0)
    assert seat.shown().pixels.shape == (64, 64, 3)


def test_a_new_picture_raises_the_sequence_and_the_same_one_does_not(closing):
    seat = closing(studio()).open(INK)
    seat.submit(flat(1), 0.0)
    first, again = seat.shown(), seat.shown()
    seat.submit(flat(2), 0.0)
    assert (first.sequence, again.sequence, seat.shown().sequence) == (1, 1, 2)


def test_a_change_is_acknowledged_by_its_revision(closing):
    seat = closing(studio()).open(INK)
    shown_when(seat, restyled)
    assert seat.change(replace(INK, prompt="oil")) == 2
    assert shown_when(seat, lambda shown: shown.revision == 2).origin == "restyled"
    assert seat.controls.prompt == "oil"


def test_a_flood_of_changes_leaves_the_last(closing):
    seat = closing(studio()).open(INK)
    for number in range(1000):
        seat.change(replace(INK, seed=number))
    assert shown_when(seat, lambda shown: shown.revision == 1001)
    assert seat.controls.seed == 999


def test_what_cannot_be_done_is_refused_at_once(closing):
    seat = closing(studio()).open(INK)
    with pytest.raises(PromptError, match="1000000 characters, more than the 400"):
        seat.change(replace(INK, prompt="x" * 1_000_000))
    with pytest.raises(PromptError, match="empty"):
        seat.change(replace(INK, prompt=" "))
    with pytest.raises(ConfigError, match="has room for pictures of 98304 pixels, got 2048x2048"):
        seat.change(replace(INK, size=Size(2048, 2048)))
    with pytest.raises(ConfigError, match="got float64"):
        seat.submit(np.zeros((64, 64, 3)), 0.0)
    with pytest.raises(ConfigError, match=r"16 pixels a side, got uint8 \(8, 64, 3\)"):
        seat.submit(flat(0, 64, 8), 0.0)
    assert seat.controls.revision == 1


def test_seats_are_limited_and_come_free(closing):
    opened = closing(studio(seats=2))
    first, _ = opened.open(INK), opened.open(INK)
    with pytest.raises(FullError, match="all 2 seats are taken"):
        opened.open(INK)
    first.close()
    first.close()
    assert opened.open(INK)
    with pytest.raises(ConfigError, match="seats must be from 1 to 15, got 16"):
        open_studio("nano", seats=LIMITS.max_streams)
    with pytest.raises(ModelError, match="no model"):
        open_studio("nowhere")


def test_the_next_viewer_of_a_seat_sees_nothing_of_the_one_before(closing):
    opened = closing(studio(seats=1))
    first = opened.open(INK)
    shown_when(first, restyled, lambda count: flat(200))
    first.submit(flat(200), time.monotonic())
    first.close()
    second = opened.open(INK)
    assert second.shown() is None
    second.submit(flat(10), time.monotonic())
    levels = {
        int(shown_when(second, lambda _: True, lambda c: flat(10)).pixels[0, 0, 0])
        for _ in range(50)
    }
    assert levels <= {10, 245}


def test_a_killed_worker_is_replaced_and_the_picture_goes_on(closing):
    opened = closing(studio())
    seat = opened.open(INK)
    before = shown_when(seat, restyled)
    os.kill(opened.worker_pid, signal.SIGKILL)
    held = shown_when(seat, lambda shown: shown.origin == "held")
    assert held.notice == "The model stopped and is being loaded again."
    assert held.sequence >= before.sequence
    assert shown_when(seat, restyled).stamp > held.stamp
    assert opened.state.health == "degraded"
    assert opened.stats()["restarts"] == 1


def test_a_hung_worker_is_replaced(closing):
    opened = closing(studio())
    seat = opened.open(replace(INK, prompt="hang"))
    shown_when(seat, lambda shown: "did not answer" in shown.notice)
    shown_when(seat, restyled)
    assert opened.stats()["restarts"] == 1


def test_a_worker_that_dies_again_and_again_is_given_up(closing):
    opened = closing(studio(live=replace(QUICK, backoff=0.01)))
    seat = opened.open(replace(INK, prompt="always die"))
    found = shown_when(
        seat, lambda shown: opened.state.health == "failed" and shown.origin == "source"
    )
    assert found.notice == "Restyling has stopped: the model does not run."
    assert opened.state.cause.startswith("the model stopped 4 times")
    assert opened.stats()["restarts"] == 4


def test_weights_that_cannot_be_read_are_not_tried_again(closing):
    opened = closing(studio(bodies.refuse))
    until(lambda: opened.state.health == "failed")
    assert "these weights cannot be read" in opened.state.cause
    assert "these weights" not in opened.state.reason
    assert opened.stats()["restarts"] == 0


def test_draining_takes_no_new_seats_and_waits_for_the_old(closing):
    opened = closing(studio())
    seat = opened.open(INK)
    start = time.monotonic()
    opened.drain(0.2)
    assert 0.2 <= time.monotonic() - start < 10
    assert opened.state.health == "draining"
    with pytest.raises(FullError, match="closing"):
        opened.open(INK)
    seat.submit(flat(3), 0.0)
    assert seat.shown().origin == "source"
    seat.close()
    opened.close()


def test_a_worker_that_does_not_end_is_ended():
    opened = studio(bodies.deaf)
    until(lambda: ok(opened))
    start = time.monotonic()
    opened.close()
    assert time.monotonic() - start < 10


PROGRAM = """
import sys, time
from live import bodies
from sidestream.config import Size, StreamConfig
from sidestream.live import open_studio

if __name__ == "__main__":
    studio = open_studio("nano", stream=StreamConfig(size=Size(64, 64)), seats=1, body=bodies.invert)
    while studio.state.health != "ok":
        time.sleep(0.01)
    print(studio.worker_pid, flush=True)
    time.sleep(100)
"""


def test_a_worker_ends_when_its_studio_is_killed(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root / 'tests'}"}
    command = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert blocks(program.pid)
        program.kill()
    until(lambda: not runs(pid))
    until(lambda: not blocks(program.pid))


def runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and " Z " not in status.read_text()
