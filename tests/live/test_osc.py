"""Controls by OSC: the format, its bounds, and a real socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inverting import StillSeat
from sidestream.config_live import ShowLimits
from sidestream.errors import ConfigError
from sidestream.live.desk import Desk
from sidestream.live.osc import BUNDLE, HOST, OscError, OscPort, parse


def text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return data + bytes(-len(data) % 4)


def message(address: str, kind: str, value: bytes) -> bytes:
    return text(address) + text(f",{kind}") + value


def bundle(*messages: bytes) -> bytes:
    parts = b"".join(struct.pack(">I", len(one)) + one for one in messages)
    return BUNDLE + bytes(8) + parts


PROMPT = message("/sidestream/prompt", "s", text("an oil painting, naïve"))
HALF = message("/sidestream/strength", "f", struct.pack(">f", 0.5))


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (PROMPT, {"prompt": "an oil painting, naïve"}),
        (HALF, {"strength": 0.5}),
        (message("/sidestream/stability", "d", struct.pack(">d", 0.25)), {"stability": 0.25}),
        (message("/sidestream/stability", "i", struct.pack(">i", 1)), {"stability": 1.0}),
        (message("/sidestream/steps", "i", struct.pack(">i", 4)), {"steps": 4}),
        (message("/sidestream/steps", "f", struct.pack(">f", 2.0)), {"steps": 2}),
        (message("/sidestream/seed", "h", struct.pack(">q", 2**40)), {"seed": 2**40}),
        (bundle(PROMPT, HALF), {"prompt": "an oil painting, naïve", "strength": 0.5}),
    ],
)
def test_what_is_understood(packet: bytes, found: dict):
    assert parse(packet) == found


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"/sidestream/prompt",
        message("/sidestream/power", "f", bytes(4)),
        message("/sidestream/steps", "ii", bytes(8)),
        message("/sidestream/steps", "i", bytes(3)),
        message("/sidestream/steps", "f", struct.pack(">f", 2.5)),
        message("/sidestream/strength", "f", struct.pack(">f", float("nan"))),
        message("/sidestream/strength", "s", text("half")),
        message("/sidestream/prompt", "i", bytes(4)),
        message("/sidestream/prompt", "s", b"abc"),
        message("/sidestream/prompt", "s", b"\xff\xfe\xfd\0"),
        message("/sidestream/prompt", "s", text("one") + text("two")),
        message("/sidestream/prompt", "s", b"a\0bc"),
        bundle(),
        bundle(bundle(PROMPT)),
        BUNDLE + bytes(8) + b"ab",
        BUNDLE + bytes(8) + struct.pack(">I", 4000) + PROMPT,
        bundle(PROMPT) + b"\0\0\0\0",
    ],
)
def test_what_is_not(packet: bytes):
    with pytest.raises(OscError):
        parse(packet)


def test_a_packet_has_a_largest_size():
    limits = ShowLimits(osc_bytes=len(PROMPT))
    assert parse(PROMPT, limits)
    with pytest.raises(OscError, match=f"at most {len(PROMPT)} bytes"):
        parse(PROMPT + bytes(1), limits)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: PROMPT[:24] + tail))
def test_any_bytes_are_understood_or_refused(packet: bytes):
    for data in (packet, BUNDLE + packet):
        with contextlib.suppress(OscError):
            parse(data)


@given(st.data())
def test_damaged_packets_are_understood_or_refused(data):
    packet = bytearray(bundle(PROMPT, HALF))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(OscError):
        parse(bytes(packet[: data.draw(st.integers(0, len(packet)))]))


def test_a_port_of_this_machine_takes_what_is_right_and_counts_the_rest():
    desk = Desk()
    port = OscPort(desk, 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in (b"noise", PROMPT, b"x" * 5000, HALF, b""):
                sender.sendto(packet, (HOST, port.port))
            until = time.monotonic() + 10
            while port.received < 5 and time.monotonic() < until:
                time.sleep(0.01)
    finally:
        port.close()
    assert (port.received, port.malformed) == (5, 3)
    assert desk.settle(StillSeat(), 0.0) == {"prompt": "an oil painting, naïve", "strength": 0.5}


def test_a_port_that_is_taken():
    port = OscPort(Desk(), 0)
    try:
        with pytest.raises(ConfigError, match="cannot be listened on"):
            OscPort(Desk(), port.port)
    finally:
        port.close()
