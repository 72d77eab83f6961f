"""Offers that are wrong, each in its own way: refused in a sentence, and nothing is left behind."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.callers import Camera
from server.conftest import House
from sidestream.config_live import ServerLimits
from sidestream.server.peer import check_offer
from sidestream.server.refusal import Refusal

pytestmark = pytest.mark.anyio
SDP = {"content-type": "application/sdp"}


def without(sdp: str, *starts: str) -> str:
    return "\r\n".join(line for line in sdp.splitlines() if not line.startswith(starts)) + "\r\n"


def with_codec(sdp: str, name: str) -> str:
    """Only that codec, as a browser that has no other would offer."""
    kept = sdp.replace("VP8/90000", f"{name}/90000").replace("H264/90000", f"{name}/90000")
    return without(kept, "a=fmtp", "a=rtcp-fb")


DAMAGE = {
    "empty": lambda sdp: "",
    "words": lambda sdp: "please let me in",
    "nothing but video": lambda sdp: "m=video",
    "half": lambda sdp: sdp[: len(sdp) // 2],
    "no fingerprint": lambda sdp: without(sdp, "a=fingerprint"),
    "no password": lambda sdp: without(sdp, "a=ice-pwd"),
    "no user": lambda sdp: without(sdp, "a=ice-ufrag"),
    "no codec that we have": lambda sdp: with_codec(sdp, "AV1"),
    "VP9 alone": lambda sdp: with_codec(sdp, "VP9"),
    "sound alone": lambda sdp: sdp.replace("m=video", "m=audio"),
    "two videos": lambda sdp: sdp + sdp[sdp.index("m=video"):].replace("a=mid:", "a=mid:2"),
    "a second video behind a vertical tab": lambda sdp: sdp + "\x0bm=video 9 UDP/TLS/RTP/SAVPF 97\r\n",
    "five videos": lambda sdp: sdp + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * 5,
    "ten thousand candidates": lambda sdp: sdp + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 10_000,
    "forty candidates": lambda sdp: sdp + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 40,
    "an address that is none": lambda sdp: sdp.replace("c=IN IP4", "c=IN IP9"),
    "a port that is none": lambda sdp: sdp.replace("m=video", "m=video x", 1),
    "a setup that is none": lambda sdp: sdp.replace("a=setup:actpass", "a=setup:sideways"),
    "control characters": lambda sdp: sdp.replace("\r\n", "\x00\x01"),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
async def test_a_damaged_offer_is_refused_in_a_sentence(house: House, how: str):
    sdp = DAMAGE[how](await house.caller().offer(Camera()))
    answer = await house.http.post(
        "/whip", content=sdp.encode("utf-8", "surrogatepass"), headers=SDP
    )
    assert answer.status_code in (400, 413), answer.text
    assert set(answer.json()) == {"error", "message"}
    assert answer.json()["message"].endswith(".")
    assert len(house.sessions) == 0
    assert house.studio.seats == []


def mangled(sdp: str, seed: int) -> str:
    """Lines lost, doubled, swapped, and characters changed: what a fuzzer would do, the same for a seed."""
    dice = random.Random(seed)
    lines = sdp.splitlines()
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(lines))
        line = lines[at]
        change = dice.randrange(5)
        if change == 0:
            lines.pop(at)
        elif change == 1:
            lines.insert(dice.randrange(len(lines)), line)
        elif change == 2:
            lines[at] = line[: dice.randrange(len(line) + 1)]
        elif change == 3:
            cut = dice.randrange(len(line) + 1)
            lines[at] = line[:cut] + dice.choice("0 :/=\t-é\x00") * dice.randint(1, 9) + line[cut:]
        else:
            lines[at] = line.replace(
                dice.choice("0123456789"), dice.choice(["", "-1", "99999999999"])
            )
    return "\r\n".join(lines) + "\r\n"


async def test_offers_mangled_at_random_are_answered_or_refused_but_never_break_anything(
    house: House,
):
    sdp = await house.caller().offer(Camera())
    for seed in range(60):
        body = {"sdp": mangled(sdp, seed)}
        answer = await house.http.post("/offer", json=body)
        assert answer.status_code in (200, 400, 413, 504), (seed, answer.text)
        if answer.status_code == 200:
            await house.http.delete(f"/sessions/{answer.json()['session']}")
    assert house.studio.seats == []


@given(st.text(max_size=2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_looked_at_without_breaking(anyio_backend: str, text: str):
    try:
        check_offer(text)
    except Refusal as refusal:
        assert refusal.status in (400, 413)


async def test_an_offer_of_the_wrong_kind_or_length_is_refused(house: House):
    assert (await house.http.post("/whip", content="v=0")).status_code == 415
    long = "m=video\r\n" + "a=x\r\n" * (ServerLimits().sdp_bytes // 5)
    assert (await house.http.post("/whip", content=long, headers=SDP)).status_code == 413
    sdp = await house.caller().offer(None)
    assert (await house.http.post("/whep/nobody", content=sdp, headers=SDP)).status_code == 404
    answer = await house.http.post("/offer", json={"sdp": sdp, "session": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (404, "session")
