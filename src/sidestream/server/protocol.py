"""HTTP connections with bounds that uvicorn has not: on the time without a whole request, and on those of one address."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.server.logins import caller_of

FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n"
    b"retry-after: 5\r\n\r\n"
)


class Bounded(H11Protocol):
    limits = SERVER_LIMITS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        here = sum(_address(one) == _address(self) for one in self.connections)
        if here > self.limits.connections_per_address:
            transport.write(FULL)
            transport.close()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait(self) -> None:
        """Until a request is there as a whole; what drips in meanwhile puts nothing off."""
        cycle: Any = self.cycle
        answered = cycle is None or cycle.response_complete
        if not answered or self.transport.is_closing():
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.request_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded(limits: ServerLimits) -> type[H11Protocol]:
    """What uvicorn makes one of for each connection."""
    return type("Bounded", (Bounded,), {"limits": limits})


def _address(connection: Any) -> str:
    return caller_of(connection.client[0]) if connection.client else ""
