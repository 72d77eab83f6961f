"""Pages of other sites that may use WHIP and WHEP, where a list allows them, and what their browsers are told."""

from __future__ import annotations

import re
from collections.abc import Collection

METHODS = {
    re.compile(r"/whip(/[\w-]+)?|/whep/[\w-]+"): ("POST", "OPTIONS"),
    re.compile(r"/sessions/[\w-]+(/viewers/[\w-]+)?"): ("PATCH", "DELETE", "OPTIONS"),
}
"""What sending and watching needs; browsers ask by OPTIONS whether they may."""
PREFLIGHT = {
    "access-control-allow-methods": "POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, if-match",
    "access-control-max-age": "600",
    "accept-post": "application/sdp",
}


def allowed(origin: str | None, method: str, path: str, origins: Collection[str]) -> bool:
    listed = origin is not None and origin.lower() in origins
    return listed and any(
        place.fullmatch(path) and method in methods for place, methods in METHODS.items()
    )


def told(origin: str) -> dict[str, str]:
    """On every answer to such a page."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "location, retry-after",
        "vary": "origin",
    }
