"""Bounds on what comes in by data channels and waits to be put together, which aiortc has none for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCSctpCapabilities, RTCSctpTransport

from sidestream.config_live import ServerLimits

STREAMS = 16
"""Channels of one connection; the page has one."""


def bound(
    transport: RTCSctpTransport, limits: ServerLimits, exceeded: Callable[[], object]
) -> None:
    """Tells the other end what there is room for, and says so where it sends more all the same."""
    sctp: Any = transport
    sctp.getCapabilities = lambda: RTCSctpCapabilities(maxMessageSize=limits.message_bytes)
    sctp._advertised_rwnd = limits.unread_bytes
    receive = sctp._receive_data_chunk

    async def receive_within(chunk: Any) -> None:
        await receive(chunk)
        waiting = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
        if (
            sctp._advertised_rwnd < 0
            or waiting > limits.unread_pieces
            or len(sctp._inbound_streams) > STREAMS
        ):
            exceeded()

    sctp._receive_data_chunk = receive_within
