"""What is lost on the way: asked for again with measure, waited for a little, and then done without."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from aiortc import rtcrtpreceiver, rtcrtpsender
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

ASK_AGAIN = 0.05
"""Seconds after which a packet that was asked for is asked for once more."""
WAIT = 0.5
"""Seconds that pictures wait for one before them."""
LEAST = 400_000
"""Bits a second that a sender is always allowed: its own measure of loss says when even that is too much."""
HISTORY = 1024
"""Packets that are kept to be sent again, and looked back for."""

Clock = Callable[[], float]


def mend() -> None:
    """In aiortc, which asks for all that is missing whenever more is, lets pictures wait for seconds, and has no setting."""
    rtcrtpreceiver.NackGenerator = Requests
    rtcrtpreceiver.JitterBuffer = _buffer
    rtcrtpreceiver.RemoteBitrateEstimator = Estimate
    rtcrtpsender.RTP_HISTORY_SIZE = HISTORY


class Requests:
    """Which packets to ask for now."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.missing: list[int] = []
        self._clock = clock
        self._newest: int | None = None
        self._open: dict[int, tuple[float, float]] = {}
        """By number, when it was missed and when it was asked for last."""

    def add(self, packet: RtpPacket) -> bool:
        """Takes note of a packet; whether there are some to ask for."""
        number, now = packet.sequence_number, self._clock()
        self._open.pop(number, None)
        self._open = {one: times for one, times in self._open.items() if now - times[0] < WAIT}
        if self._newest is None or uint16_gt(number, self._newest):
            gap = 0 if self._newest is None else uint16_add(number, -self._newest) - 1
            for back in range(min(gap, HISTORY), 0, -1):
                self._open[uint16_add(number, -back)] = (now, -inf)
            self._newest = number
        self.missing = [one for one, (_, asked) in self._open.items() if now - asked >= ASK_AGAIN]
        for one in self.missing:
            self._open[one] = (self._open[one][0], now)
        return bool(self.missing)


class Estimate(RemoteBitrateEstimator):
    """What the way in can carry. A busy processor looks like a full network, and what is allowed grows by 8 % a second."""

    def add(
        self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        estimate = super().add(arrival_time_ms, abs_send_time, payload_size, ssrc)
        if estimate is None:
            return None
        bitrate = self.rate_control.current_bitrate = max(estimate[0], LEAST)
        return bitrate, estimate[1]


class Burst(JitterFrame):
    """The newest whole picture, and those before it that it builds upon."""

    def __init__(self, pictures: list[JitterFrame]) -> None:
        super().__init__(pictures[-1].data, pictures[-1].timestamp)
        self.earlier = pictures[:-1]


class Pictures(JitterBuffer):
    """Hands a picture on with its last packet, not with the next one's first, and all that are whole at once."""

    def __init__(self, capacity: int, clock: Clock = time.monotonic) -> None:
        super().__init__(capacity, is_video=True)
        self._clock = clock
        self._came = [0.0] * capacity
        """When, by place as the packets are."""
        self._broken: int | None = None
        """When the picture was taken that is left out."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        self._came[packet.sequence_number % self.capacity] = now = self._clock()
        lost, burst = super().add(packet)
        while (burst is None) and (behind := self._behind_gap(packet.sequence_number)) is not None:
            if now - self._came[behind % self.capacity] <= WAIT:
                break
            self._go_on_at(behind)
            lost, burst = True, self._remove_frame(packet.sequence_number)
        return lost, burst

    def _behind_gap(self, newest: int) -> int | None:
        """The first packet behind what is missing, if something is."""
        number = uint16_add(self._origin or 0, len(self._front()))
        while uint16_gt(newest, number) and self._packets[number % self.capacity] is None:
            number = uint16_add(number, 1)
        behind = self._packets[number % self.capacity]
        return None if behind is None else behind.sequence_number

    def _go_on_at(self, number: int) -> None:
        """Without the picture there, whose beginning may be in the gap."""
        self.remove(uint16_add(number, -(self._origin or 0)))
        behind = self._packets[number % self.capacity]
        self._broken = None if behind is None else behind.timestamp

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        pictures: list[JitterFrame] = []
        parts: list[RtpPacket] = []
        whole = 0
        for packet in [*self._front(), None]:
            if parts and (parts[-1].marker or (packet and parts[-1].timestamp != packet.timestamp)):
                whole += len(parts)
                pictures.append(_joined(parts))
                parts = []
            if packet:
                parts.append(packet)
        self.remove(whole)
        pictures = [one for one in pictures if one.timestamp != self._broken]
        return Burst(pictures) if pictures else None

    def _front(self) -> list[RtpPacket]:
        """What is there without a gap."""
        front: list[RtpPacket] = []
        for count in range(self.capacity):
            packet = self._packets[((self._origin or 0) + count) % self.capacity]
            if packet is None:
                break
            front.append(packet)
        return front


def _joined(packets: list[RtpPacket]) -> JitterFrame:
    parts: list[bytes] = [vars(packet)["_data"] for packet in packets]  # where the receiver put it
    return JitterFrame(b"".join(parts), packets[0].timestamp)


def _buffer(capacity: int, prefetch: int = 0, is_video: bool = False) -> JitterBuffer:
    return Pictures(capacity) if is_video else JitterBuffer(capacity, prefetch)
