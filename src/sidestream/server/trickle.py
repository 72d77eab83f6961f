"""Candidates that a WHIP or WHEP client finds after its offer: what a fragment of SDP says (RFC 8840, RFC 9725)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.server.candidates import is_tried
from sidestream.server.refusal import Refusal

FRAGMENT = "application/trickle-ice-sdpfrag"
LINE = re.compile(r"(?:a=(?P<name>[\w-]+)(?::(?P<value>.*))?|m=.*)")


@dataclass(frozen=True)
class Fragment:
    user: str
    """The client's ICE user name, which says what the candidates belong to."""
    candidates: tuple[RTCIceCandidate, ...]


def read(text: str, limits: ServerLimits = SERVER_LIMITS, *, near: bool = False) -> Fragment:
    """Refuses what is no fragment, or too much of one. Keeps of its candidates those that are tried."""
    if len(text.encode("utf-8", "replace")) > limits.sdp_bytes:
        raise Refusal(413, "fragment", f"A fragment has at most {limits.sdp_bytes} bytes.")
    user, place = "", ""
    candidates: list[RTCIceCandidate] = []
    for line in text.splitlines():
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise Refusal(400, "fragment", "The fragment has a line that is none of SDP's.")
        match found["name"], found["value"] or "":
            case "ice-ufrag", value:
                user = user or value
            case "mid", value:
                place = value
            case "candidate", value:
                candidates.append(_candidate(value, place))
            case _:
                pass
    if not user:
        raise Refusal(400, "fragment", "The fragment must have ice-ufrag.")
    tried = (one for one in candidates if is_tried(one.protocol, one.ip, near=near))
    return Fragment(user, tuple(tried))


def user_of(sdp: str) -> str:
    """The first ICE user name of an offer: all its media share one way."""
    found = re.search(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)
    return found[1] if found else ""


def check_match(given: str | None) -> None:
    """Of If-Match: a star asks for an ICE restart, and any tag is unknown, for none was given out."""
    if given == "*":
        raise refused_restart()
    if given is not None:
        raise Refusal(412, "match", "No entity tag was given out: leave If-Match away.")


def refused_restart() -> Refusal:
    return Refusal(422, "restart", "ICE cannot be restarted here: send a new offer.")


def _candidate(value: str, place: str) -> RTCIceCandidate:
    try:
        found = candidate_from_sdp(value)
        if not found.ip.endswith(".local"):
            ip_address(found.ip)
    # Too few words are an assertion in aiortc, others fail where a number is read.
    except (AssertionError, ValueError, IndexError):
        raise Refusal(400, "fragment", "The fragment has a candidate that is none.") from None
    if not place:
        raise Refusal(400, "fragment", "A candidate must come after the a=mid it belongs to.")
    found.sdpMid = place
    return found
