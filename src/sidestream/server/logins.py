"""What is remembered of callers: how fast they call, who gave the token, and who a wrong one. All of it is bounded."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from sidestream.config_live import ServerLimits
from sidestream.server.refusal import Refusal

T = TypeVar("T")
EVERYBODY = ""


def caller_of(address: str) -> str:
    """Whom an address belongs to: of IPv6 anybody has as many as they like, and only the first half is theirs."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if found.version == 4 or found.is_loopback:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


class Table(Generic[T]):
    """Of the newest so many callers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, caller: str) -> bool:
        return caller in self._rows

    def get(self, caller: str, otherwise: T) -> T:
        return self._rows.get(caller, otherwise)

    def put(self, caller: str, value: T) -> None:
        self._rows[caller] = value
        self._rows.move_to_end(caller)
        while len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def forget(self, caller: str) -> None:
        self._rows.pop(caller, None)


class Rates:
    """So many a second for each caller; bursts may be twice as long."""

    def __init__(self, rate: float, most: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self.table: Table[tuple[float, float]] = Table(most)

    def left(self, caller: str) -> float:
        now = self._clock()
        left, then = self.table.get(caller, (2 * self._rate, now))
        return min(2 * self._rate, left + (now - then) * self._rate)

    def take(self, caller: str) -> bool:
        """Whether one more was left."""
        left = self.left(caller)
        self.table.put(caller, (max(left - 1, 0.0), self._clock()))
        return left >= 1


class Logins:
    """Whether the right token was given. Wrong ones lock out nobody who has it, and cannot be tried fast."""

    def __init__(self, token: str, limits: ServerLimits, clock: Callable[[], float]) -> None:
        self._token = token
        self._limits = limits
        self._clock = clock
        self._known: Table[bool] = Table(limits.addresses)
        self._failed: Table[tuple[int, float]] = Table(limits.addresses)
        self._wrong = Rates(limits.wrong_tokens_per_second, 1, clock)

    def check(self, given: str, caller: str) -> None:
        """Refuses, or returns."""
        if caller not in self._known and self._wrong.left(EVERYBODY) < 1:
            raise _locked(1)
        scheme, _, token = given.partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self._token):
            self._known.put(caller, True)
            self._failed.forget(caller)
            return
        if given:
            self._count(caller)
        raise Refusal(401, "token", "This server asks for a token.")

    def _count(self, caller: str) -> None:
        self._wrong.take(EVERYBODY)
        now = self._clock()
        count, then = self._failed.get(caller, (0, now))
        if now - then > self._limits.lockout_seconds:
            count = 0
        self._failed.put(caller, (count + 1, now))
        if count >= self._limits.failed_logins:
            raise _locked(round(self._limits.lockout_seconds))


def _locked(seconds: int) -> Refusal:
    return Refusal(429, "locked", "Too many wrong tokens: wait a while.", retry_after=seconds)


def _same(given: str, token: str) -> bool:
    """In a time that does not tell how much of it was right."""
    sums = [hashlib.sha256(one.encode("utf-8", "replace")).digest() for one in (given, token)]
    return hmac.compare_digest(*sums)
