"""The queue for a seat: whose turn it is. Pure: told the time and how many seats are free."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.server.refusal import Refusal

ASK_AGAIN = 3
"""Seconds after which those who wait are told to ask again."""


@dataclass
class Line:
    """Who waits, in order, and when each last asked. A ticket nobody asks with any more loses its place."""

    limits: ServerLimits = SERVER_LIMITS
    _asked: dict[str, float] = field(default_factory=dict[str, float])

    def __len__(self) -> int:
        return len(self._asked)

    def enter(self, ticket: str | None, free: int, now: float) -> None:
        """Returns when it is the caller's turn; else refuses, naming place and ticket."""
        self.expire(now)
        known = ticket is not None and ticket in self._asked
        place = list(self._asked).index(str(ticket)) if known else len(self._asked)
        if place < free:
            self._asked.pop(str(ticket), None)
            return
        if not known:
            if len(self._asked) >= self.limits.waiting:
                raise Refusal(
                    503,
                    "full",
                    "Every seat is taken, and so is every place in the queue.",
                    retry_after=30,
                )
            ticket = secrets.token_urlsafe(16)
        self._asked[str(ticket)] = now
        raise Refusal(
            503,
            "full",
            f"Every seat is taken; you are number {place + 1} in the queue.",
            more={"place": place + 1, "ticket": ticket, "retry_after": ASK_AGAIN},
            retry_after=ASK_AGAIN,
        )

    def expire(self, now: float) -> None:
        late = [
            one for one, asked in self._asked.items() if now - asked > self.limits.ticket_seconds
        ]
        for one in late:
            del self._asked[one]
