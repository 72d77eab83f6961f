"""A camera's packets on a way that loses some of them, with the clock of the test."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from aiortc import rtcrtpreceiver, rtcrtpsender
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

from sidestream.server import losses
from sidestream.server.losses import (
    ASK_AGAIN,
    HISTORY,
    LEAST,
    WAIT,
    Burst,
    Estimate,
    Pictures,
    Requests,
)

PACKETS, FPS = 4, 25
"""Of one picture, and in one second."""


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def packet(number: int) -> RtpPacket:
    picture, place = divmod(number, PACKETS)
    made = RtpPacket(
        payload_type=96,
        sequence_number=number & 0xFFFF,
        timestamp=picture * 90_000 // FPS,
        marker=int(place == PACKETS - 1),
    )
    made.payload = made._data = bytes([picture % 256])  # type: ignore[attr-defined]
    return made


@dataclass
class Way:
    """Sends a packet again when it is asked to, but not twice within a round, as browsers do."""

    requests: Any
    pictures: JitterBuffer
    clock: Clock
    loss: float
    seconds: float
    """There and back."""
    never: tuple[int, ...] = ()
    """What is lost however often it is sent."""
    first: int = 65_000
    times: list[float] = field(default_factory=list[float])
    ages: list[float] = field(default_factory=list[float])
    came: int = 0
    key_requests: int = 0
    sent: int = 0

    def go(self, pictures: int) -> Way:
        chance, begin = random.Random(7), self.clock.now
        again: dict[int, float] = {}
        queue: list[tuple[float, int]] = []

        def send(when: float, number: int) -> None:
            self.sent += 1
            if number - self.first not in self.never and chance.random() >= self.loss:
                heapq.heappush(queue, (when + self.seconds / 2, number))

        for n in range(pictures * PACKETS):
            heapq.heappush(queue, (begin + n // PACKETS / FPS, -1 - self.first - n))
        while queue:
            self.clock.now, number = heapq.heappop(queue)
            if number < 0:
                send(self.clock.now, -1 - number)
                continue
            if self.requests.add(packet(number)):
                for short in self.requests.missing:
                    asked = self.clock.now + self.seconds / 2
                    full = number + (short - number + 0x8000) % 0x10000 - 0x8000
                    if chance.random() >= self.loss and asked >= again.get(full, 0):
                        again[full] = asked + self.seconds
                        send(asked, full)
            self._take(*self.pictures.add(packet(number)), begin)
        return self

    def _take(self, lost: bool, picture: Any, begin: float) -> None:
        self.key_requests += lost
        if picture is not None:
            taken = picture.timestamp / 90_000 - self.first // PACKETS / FPS
            self.times.append(self.clock.now)
            self.ages.append(self.clock.now - begin - taken)
            self.came += len(picture.earlier) + 1 if isinstance(picture, Burst) else 1


def ours(loss: float, seconds: float, pictures: int = 200, never: tuple[int, ...] = ()) -> Way:
    clock = Clock()
    return Way(Requests(clock), Pictures(512, clock), clock, loss, seconds, never).go(pictures)


def of_aiortc(loss: float, seconds: float, pictures: int = 200) -> Way:
    buffer = JitterBuffer(512, is_video=True)
    return Way(NackGenerator(), buffer, Clock(), loss, seconds).go(pictures)


def at(share: float, ages: list[float]) -> float:
    return sorted(ages)[int(share * len(ages))]


def test_a_picture_is_there_with_its_last_packet_not_with_the_next_one():
    way = ours(0, 0.1)
    assert way.ages == pytest.approx([0.05] * 200)
    assert at(0.5, of_aiortc(0, 0.1).ages) == pytest.approx(0.05 + 1 / FPS)


@pytest.mark.parametrize("loss", [0.02, 0.1])
@pytest.mark.parametrize("seconds", [0.005, 0.05, 0.1])
def test_where_packets_are_lost_all_pictures_come_and_sooner(loss: float, seconds: float):
    way, other = ours(loss, seconds), of_aiortc(loss, seconds)
    assert way.came >= 198  # nothing tells of a last one that is lost
    assert way.key_requests == 0
    assert at(0.5, way.ages) < at(0.5, other.ages)
    assert at(0.95, way.ages) < 0.7 * at(0.95, other.ages)
    assert way.sent < 1.2 * 200 * PACKETS


def test_a_way_that_loses_a_third_does_not_end_seconds_behind():
    assert max(ours(0.3, 0.24).ages) < 3 * WAIT < max(of_aiortc(0.3, 0.24).ages)


def test_what_never_comes_is_given_up_for_a_key_frame_and_nothing_stays_late():
    way = ours(0, 0.1, never=(41, 42))
    assert way.key_requests == 1
    assert way.came == 200 - 1
    assert WAIT < max(b - a for a, b in pairwise(way.times)) < WAIT + 0.1
    assert way.ages[-1] == pytest.approx(0.05)


def test_the_picture_behind_a_gap_that_may_have_its_beginning_is_left_out():
    way = ours(0, 0.1, never=tuple(range(41, 46)))
    assert way.key_requests >= 1
    assert way.came == 200 - 2
    assert way.ages[-1] == pytest.approx(0.05)


def test_a_packet_is_asked_for_again_only_after_a_while_and_not_for_ever():
    clock = Clock()
    requests = Requests(clock)
    assert not requests.add(packet(10))
    assert requests.add(packet(12)) and requests.missing == [11]
    assert not requests.add(packet(13))
    clock.now += 1.01 * ASK_AGAIN
    assert requests.add(packet(15)) and requests.missing == [11, 14]
    assert not requests.add(packet(11))
    clock.now += 1.01 * ASK_AGAIN
    assert requests.add(packet(16)) and requests.missing == [14]
    clock.now += WAIT
    assert not requests.add(packet(17))


def test_no_more_is_asked_for_than_a_sender_keeps():
    requests = Requests(Clock())
    requests.add(packet(0))
    requests.add(packet(30_000))
    assert len(requests.missing) == HISTORY


def test_sound_is_collected_as_it_was(monkeypatch: pytest.MonkeyPatch):
    for module, name in (
        (rtcrtpreceiver, "JitterBuffer"),
        (rtcrtpreceiver, "NackGenerator"),
        (rtcrtpreceiver, "RemoteBitrateEstimator"),
        (rtcrtpsender, "RTP_HISTORY_SIZE"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    losses.mend()
    made: Any = rtcrtpreceiver.JitterBuffer
    assert type(made(capacity=16, prefetch=4)) is JitterBuffer
    assert type(made(capacity=512, is_video=True)) is Pictures
    assert rtcrtpreceiver.NackGenerator is Requests


def test_a_sender_is_allowed_a_picture_even_while_this_machine_is_too_busy_to_measure():
    """A packet every 10 ms that takes ever longer to be looked at: aiortc's estimate falls, and rises too slowly."""
    found: dict[type[RemoteBitrateEstimator], list[int]] = {}
    for kind in (RemoteBitrateEstimator, Estimate):
        estimate = kind()
        found[kind] = []
        for n in range(600):
            sent = n * 10
            said = estimate.add(sent + n * n // 50, (sent << 18) // 1000 & 0xFFFFFF, 100, 1)
            if said is not None:
                assert said[1] == [1]
                found[kind].append(said[0])
    assert min(found[RemoteBitrateEstimator]) < LEAST == min(found[Estimate])
