"""Bodies of workers that need no model, for tests. Started in a process of their own, so they are named by module."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np

from sidestream.errors import ModelError
from sidestream.live.wishes import Wish
from sidestream.live.worker import Workplace


def invert(workplace: Workplace) -> None:
    """Inverts every frame; words in a seat's prompt make it fail: die, hang, dwell."""
    workplace.board.report.write({"ready": True})
    taken = [0] * len(workplace.board.places)
    while not workplace.board.orders.newest:
        workplace.board.pulse.put(np.zeros(1, np.uint8))
        for number, place in enumerate(workplace.board.places):
            letter, wish = place.frames.take(taken[number]), place.wishes.take()
            if letter is None or wish is None:
                continue
            taken[number] = letter.sequence
            asked = Wish.read(wish.words)
            act(str(asked.controls.prompt), workplace.post.number)
            tag = replace(letter.tag, revision=asked.controls.revision, tenancy=asked.tenancy)
            place.pictures.put(255 - letter.data, tag)
        workplace.rest(0.02)


def act(prompt: str, number: int) -> None:
    if number == 1 or "always" in prompt:
        if "die" in prompt:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in prompt:
            time.sleep(3600)


def refuse(workplace: Workplace) -> None:
    raise ModelError("these weights cannot be read: download them again")


def deaf(workplace: Workplace) -> None:
    """Does not end when it is asked to."""
    workplace.board.report.write({"ready": True})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        workplace.board.pulse.put(np.zeros(1, np.uint8))
        time.sleep(0.01)
