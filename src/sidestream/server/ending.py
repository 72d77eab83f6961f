"""When a session ends, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream.config_live import SERVER_LIMITS, ServerLimits


@dataclass(frozen=True)
class Times:
    """When things last happened to a session."""

    born: float
    frame: float | None = None
    watched: float | None = None
    """Somebody was there to see it."""
    connected: bool = False


def ending(now: float, times: Times, limits: ServerLimits = SERVER_LIMITS) -> str:
    """Why a session ends now, in a sentence; empty while it goes on."""
    if now - times.born > limits.session_seconds:
        return (
            f"The session has lasted {limits.session_seconds / 3600:g} hours, which is the longest."
        )
    if not times.connected and now - times.born > limits.connect_seconds:
        return f"No connection came about within {limits.connect_seconds:g} seconds."
    if times.connected and now - (times.frame or times.born) > limits.close_seconds:
        return f"No picture came for {limits.close_seconds:g} seconds."
    if now - (times.watched or times.born) > limits.unwatched_seconds:
        return f"Nobody watched for {limits.unwatched_seconds:g} seconds."
    return ""
