"""Which places that an offer names are tried: this machine sends to each of them, whoever is there."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

CANDIDATE = re.compile(r"a=candidate:\S+ +\S+ +(?P<protocol>\S+) +\S+ +(?P<place>\S+) .*")
END = "a=end-of-candidates"


def is_tried(protocol: str, place: str, *, near: bool) -> bool:
    """`near`: the caller is on this machine, and may mean it, or a name that only its own network knows."""
    if protocol.lower() != "udp":
        return False
    if place.lower().endswith(".local"):
        return near
    try:
        address = ip_address(place)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return near
    odd = address.is_multicast, address.is_link_local, address.is_unspecified, address.is_reserved
    return not any(odd)


def kept(sdp: str, *, near: bool) -> str:
    """The offer without other places. Whoever offers none can still come to us, so that nothing says it has ended."""
    return "".join(f"{line}\r\n" for line in sdp.splitlines() if _is_kept(line, near))


def _is_kept(line: str, near: bool) -> bool:
    if not line.startswith("a=candidate:"):
        return line.strip() != END
    found = CANDIDATE.fullmatch(line)
    return found is not None and is_tried(found["protocol"], found["place"], near=near)
