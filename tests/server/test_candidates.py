"""Where a caller may have this machine send to."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.callers import BASE, Camera
from server.conftest import House
from server.test_offers import without
from sidestream.server.candidates import END, is_tried, kept

HOST = "a=candidate:1 1 udp 2130706431 {place} {port} typ host"


@pytest.mark.parametrize(
    ("place", "far", "near"),
    [
        ("192.168.1.5", True, True),
        ("203.0.113.5", True, True),
        ("2001:db8::5", True, True),
        ("127.0.0.1", False, True),
        ("127.9.9.9", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("b1c2-d3e4.local", False, True),
        ("B1C2-D3E4.LOCAL", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("224.0.0.251", False, False),
        ("ff02::fb", False, False),
        ("::ffff:224.0.0.251", False, False),
        ("0.0.0.0", False, False),
        ("255.255.255.255", False, False),
        ("internal.example", False, False),
        ("localhost", False, False),
        ("2130706433", False, False),
    ],
)
def test_only_such_places_are_tried(place: str, far: bool, near: bool):
    assert is_tried("udp", place, near=False) == far
    assert is_tried("UDP", place, near=True) == near
    assert not is_tried("tcp", place, near=True)


def test_an_offer_keeps_everything_else_as_it_was():
    lines = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96", HOST.format(place="10.0.0.1", port=9)]
    dropped = [HOST.format(place="internal.example", port=9), "a=candidate:1 1 udp", END]
    sdp = "\r\n".join([*lines, *dropped, "a=mid:0"]) + "\r\n"
    assert kept(sdp, near=False) == "\r\n".join([*lines, "a=mid:0"]) + "\r\n"


@given(st.text(max_size=200).map(lambda tail: f"a=candidate:{tail}"))
def test_whatever_is_kept_of_a_candidate_is_tried(line: str):
    for found in kept(line, near=False).splitlines():
        if found.startswith("a=candidate:"):
            assert is_tried(found.split()[2], found.split()[4], near=False)


@pytest.mark.anyio
@pytest.mark.parametrize(("address", "sends"), [("127.0.0.1", True), ("10.0.0.9", False)])
async def test_a_caller_from_elsewhere_cannot_reach_what_listens_on_this_machine(
    house: House, address: str, sends: bool
):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as private:
        private.bind(("127.0.0.1", 0))
        private.setblocking(False)
        offer = without(await house.caller().offer(Camera()), "a=candidate", END)
        place = HOST.format(place="127.0.0.1", port=private.getsockname()[1])
        offer = offer.replace("a=ice-ufrag", f"{place}\r\na=ice-ufrag", 1)
        transport = httpx.ASGITransport(house.app, client=(address, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            assert (await http.post("/offer", json={"sdp": offer})).status_code == 200
        received = asyncio.get_running_loop().sock_recv(private, 2000)
        try:
            async with asyncio.timeout(2):
                assert await received and sends
        except TimeoutError:
            assert not sends
