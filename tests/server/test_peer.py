"""What a connection leaves behind that ends before it has begun."""

from __future__ import annotations

import asyncio
import gc

import aiortc
import pytest

from sidestream.server.peer import Connection

pytestmark = pytest.mark.anyio


async def unheard(kind: type[aiortc.RTCPeerConnection]) -> list[BaseException | None]:
    """What nobody waits for and fails, of a connection that is closed during its handshake."""
    failed: list[BaseException | None] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: failed.append(context.get("exception")))
    ours, theirs = (kind(aiortc.RTCConfiguration(iceServers=[])) for _ in range(2))
    begun, over = asyncio.Event(), asyncio.Event()

    async def handshake(_: object) -> None:
        begun.set()
        await over.wait()

    try:
        theirs.addTransceiver("video", direction="recvonly")
        theirs.createDataChannel("controls")
        await theirs.setLocalDescription(await theirs.createOffer())
        await ours.setRemoteDescription(theirs.localDescription)
        securing = ours.getTransceivers()[0].receiver.transport
        securing.start = handshake  # type: ignore[method-assign]
        securing.transport.on(
            "statechange", lambda: securing.transport.state == "closed" and over.set()
        )
        await ours.setLocalDescription(await ours.createAnswer())
        await theirs.setRemoteDescription(ours.localDescription)
        async with asyncio.timeout(20):
            await begun.wait()
        await ours.close()
        await theirs.close()
        await asyncio.sleep(0.1)
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    return failed


async def test_who_leaves_during_the_handshake_leaves_no_traceback():
    assert await unheard(Connection) == []


async def test_of_which_aiortc_alone_would_leave_one():
    assert any(
        isinstance(one, aiortc.InvalidStateError) for one in await unheard(aiortc.RTCPeerConnection)
    )
