"""How the server says no: a status, a word that programs can tell apart, and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

from sidestream.errors import ConfigError


class Refusal(Exception):
    """Sent as JSON. The sentence never repeats what was sent."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        more: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"error": error, "message": message, **(more or {})}
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}


def impossible(error: ConfigError) -> Refusal:
    """What the seat cannot do."""
    return Refusal(422, "controls", f"This cannot be done: {error}.")
