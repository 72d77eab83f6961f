"""Pages of other sites that may use WHIP and WHEP, where a list allows them, and what their browsers are told."""

from __future__ import annotations

import re
from collections.abc import Collection

PATHS = re.compile(r"/whip(/[\w-]+)?|/whep/[\w-]+|/sessions/[\w-]+(/viewers/[\w-]+)?")
PREFLIGHT = {
    "access-control-allow-methods": "POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, if-match",
    "access-control-max-age": "600",
    "accept-post": "application/sdp",
}


def allowed(origin: str | None, path: str, origins: Collection[str]) -> bool:
    return origin is not None and origin.lower() in origins and bool(PATHS.fullmatch(path))


def told(origin: str) -> dict[str, str]:
    """On every answer to such a page."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "location, retry-after",
        "vary": "origin",
    }
