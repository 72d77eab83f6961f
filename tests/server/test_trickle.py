"""Candidates that come after the offer: taken where they can be, and refused in the words of RFC 9725 where not."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.callers import Caller, Camera, until
from server.conftest import House
from server.test_offers import without
from sidestream.config_live import ServerLimits
from sidestream.server.refusal import Refusal
from sidestream.server.trickle import FRAGMENT, read

pytestmark = pytest.mark.anyio
SDP = {"content-type": "application/sdp"}
KIND = {"content-type": FRAGMENT}
CANDIDATES = "a=candidate", "a=end-of-candidates"


def fragment(offer: str, *candidates: str) -> str:
    """As a client writes one for what it offered."""
    kept = [line for line in offer.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    mid = re.findall("^a=mid:.+$", offer, re.MULTILINE)[0].strip()
    return "\r\n".join([*kept[:2], "m=video 9 UDP/TLS/RTP/SAVPF 96", mid, *candidates]) + "\r\n"


def found_later(offer: str) -> list[str]:
    return sorted({line for line in offer.splitlines() if line.startswith(CANDIDATES)})


async def sending(house: House) -> tuple[Caller, str, str]:
    """A WHIP client that has told no candidates and has been told none; its offer, and where its session is."""
    sender = house.caller()
    offer = await sender.offer(Camera(stamped=False), "sendonly")
    made = await house.http.post("/whip", content=without(offer, *CANDIDATES), headers=SDP)
    assert made.status_code == 201 and made.headers["accept-patch"] == FRAGMENT
    await sender.take(without(made.text, *CANDIDATES))
    return sender, offer, made.headers["location"]


async def test_without_candidates_nothing_connects_and_with_them_it_does(house: House):
    sender, offer, place = await sending(house)
    assert sender.connection.connectionState != "connected"
    for candidate in found_later(offer):
        answer = await house.http.patch(place, content=fragment(offer, candidate), headers=KIND)
        assert (answer.status_code, answer.content) == (204, b"")
    await until(lambda: sender.connection.connectionState == "connected")
    [session] = house.sessions._open.values()
    await until(lambda: session.publisher is not None and session.publisher.connected)


async def test_a_player_may_add_candidates_as_well(house: House):
    first, player = house.caller(), house.caller()
    await first.call(Camera())
    offer = await player.offer(None)
    place = f"/whep/{first.session}"
    made = await house.http.post(place, content=without(offer, *CANDIDATES), headers=SDP)
    await player.take(without(made.text, *CANDIDATES))
    answer = await house.http.patch(
        made.headers["location"], content=fragment(offer, *found_later(offer)), headers=KIND
    )
    assert answer.status_code == 204
    await player.picture()
    gone = f"/sessions/{first.session}/viewers/nobody"
    answer = await house.http.patch(gone, content=fragment(offer), headers=KIND)
    assert (answer.status_code, answer.json()["error"]) == (404, "connection")


HOST = "a=candidate:1 1 udp 2130706431 10.0.0.1 9 typ host"


@pytest.mark.parametrize(
    ("headers", "change", "status"),
    [
        ({"content-type": "application/sdp"}, lambda text: text, 415),
        ({}, lambda text: "", 400),
        ({}, lambda text: text + "please let me in", 400),
        ({}, lambda text: text + "a=candidate:1 1 udp", 400),
        ({}, lambda text: text + "a=candidate:1 1 udp x 10.0.0.1 9 typ host", 400),
        ({}, lambda text: text + "a=candidate:1 1 udp 9 nowhere 9 typ host", 400),
        ({}, lambda text: without(text, "a=mid") + HOST, 400),
        ({}, lambda text: without(text, "a=ice-ufrag"), 400),
        ({}, lambda text: text + f"{HOST}\r\n" * 33, 400),
        ({}, lambda text: text + "a=x\r\n" * 10_000, 413),
        ({}, lambda text: re.sub("a=ice-ufrag:.+", "a=ice-ufrag:other", text), 422),
        ({"if-match": "*"}, lambda text: text, 422),
        ({"if-match": '"tag"'}, lambda text: text, 412),
    ],
)
async def test_what_cannot_be_taken_is_refused(house: House, headers, change, status: int):
    _, offer, place = await sending(house)
    text = change(fragment(offer))
    answer = await house.http.patch(place, content=text, headers={**KIND, **headers})
    assert answer.status_code == status, answer.text
    assert answer.json()["message"].endswith(".")


async def test_candidates_are_bounded_however_many_fragments_they_come_in(house: House):
    _, offer, place = await sending(house)
    most = ServerLimits().sdp_candidates
    statuses = [
        (await house.http.patch(place, content=fragment(offer, HOST), headers=KIND)).status_code
        for _ in range(most + 1)
    ]
    assert statuses == [204] * most + [400]


class TestWithoutPatience:
    @pytest.fixture
    def limits(self) -> ServerLimits:
        return ServerLimits(negotiate_seconds=0.5)

    async def test_a_name_that_nobody_answers_to_is_not_waited_for(self, house: House):
        sender = house.caller()
        offer = await sender.offer(Camera(stamped=False), "sendonly")
        made = await house.http.post("/whip", content=offer, headers=SDP)
        named = "a=candidate:1 1 udp 1 7f1c5a04-nobody.local 9 typ host"
        text = fragment(offer, named)
        async with asyncio.timeout(5):
            answer = await house.http.patch(made.headers["location"], content=text, headers=KIND)
        assert answer.status_code == 204
        await sender.take(made.text)
        await until(lambda: sender.connection.connectionState == "connected")


async def test_who_has_left_takes_no_candidates(house: House):
    _, offer, place = await sending(house)
    [session] = house.sessions._open.values()
    publisher = session.publisher
    assert publisher is not None
    await publisher.close()
    answer = await house.http.patch(place, content=fragment(offer, HOST), headers=KIND)
    assert (answer.status_code, answer.json()["error"]) == (404, "connection")


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda tail: f"a=ice-ufrag:u\na={tail}"))
def test_any_text_is_a_fragment_or_refused(text: str):
    try:
        assert read(text).user
    except Refusal as refusal:
        assert refusal.status == 400
