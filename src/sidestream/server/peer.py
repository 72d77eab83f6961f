"""One WebRTC connection: an offer is looked at, answered, and the connection heard and closed. Knows no session."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiortc
from aiortc.mediastreams import MediaStreamTrack

from sidestream.config_live import SERVER_LIMITS, ServerConfig, ServerLimits
from sidestream.server import messages, trickle
from sidestream.server.refusal import Refusal

Receive = Callable[[MediaStreamTrack], Coroutine[Any, Any, None]]

CLOSE_SECONDS = 2.0
NEEDED = "ice-ufrag", "ice-pwd", "fingerprint"
DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
"""By whether we send and whether we take."""
BITRATES = 2_500_000, 6_000_000
"""Bits a second at first, and at most."""


@dataclass(frozen=True)
class Ends:
    """What a connection is joined to, pictures under `video` and sound under `audio`."""

    outgoing: Mapping[str, MediaStreamTrack]
    incoming: Mapping[str, Receive]
    hear: Callable[[Peer, str], object]
    gone: Callable[[Peer, str], object]


class Peer:
    """Owns a connection, its data channel and the tasks that receive from it."""

    def __init__(self, connection: aiortc.RTCPeerConnection, ends: Ends, born: float) -> None:
        self.id = secrets.token_urlsafe(16)
        self.born = born
        self.bad_messages = 0
        self.publishes = bool(ends.incoming)
        self.watches = bool(ends.outgoing)
        self._connection: aiortc.RTCPeerConnection | None = connection
        self._ends = ends
        self._channel: aiortc.RTCDataChannel | None = None
        self._receiving: dict[str, asyncio.Task[None]] = {}
        self._user, self._candidates = "", 0
        connection.on("track", self._on_track)
        connection.on("datachannel", self._on_channel)
        connection.on("connectionstatechange", self._on_state)

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.connectionState == "connected"

    async def answer(self, sdp: str, limits: ServerLimits = SERVER_LIMITS) -> str:
        """Answers an offer, or refuses it and closes."""
        try:
            check_offer(sdp, limits)
            async with asyncio.timeout(limits.negotiate_seconds):
                return await self._negotiate(sdp, limits)
        except Refusal as refusal:
            problem = refusal
        except TimeoutError:
            problem = Refusal(504, "ice", "No way to this server was found: check STUN and TURN.")
        # aiortc trips over a bad offer with whatever its parser raises: ValueError, KeyError, its own, an assertion.
        except Exception:  # noqa: BLE001
            problem = Refusal(400, "offer", "The offer cannot be used: send video as VP8 or H.264.")
        await self.close()
        raise problem

    async def _negotiate(self, sdp: str, limits: ServerLimits) -> str:
        connection = self._connection
        if connection is None:
            raise Refusal(503, "closed", "The session has ended.")
        self._user, self._candidates = trickle.user_of(sdp), _candidates(sdp)
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "offer"))
        for kind in ("video", "audio"):
            self._join(kind, [one for one in connection.getTransceivers() if one.kind == kind])
        if connection.sctp is not None:
            messages.bound(connection.sctp, limits, lambda: self._ends.gone(self, "flooded"))
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp

    def _join(self, kind: str, offered: Sequence[aiortc.RTCRtpTransceiver]) -> None:
        """The first way for a kind is used as far as there are ends; what nobody takes off its queue is declined."""
        for place, transceiver in enumerate(offered):
            gives = not place and kind in self._ends.outgoing
            takes = not place and kind in self._ends.incoming
            if gives:
                transceiver.sender.replaceTrack(self._ends.outgoing[kind])
            transceiver.direction = DIRECTIONS[gives, takes]

    async def add(self, fragment: trickle.Fragment, limits: ServerLimits = SERVER_LIMITS) -> None:
        """Takes candidates of the other end that it found after its offer."""
        if fragment.user != self._user:
            raise trickle.refused_restart()
        self._candidates += len(fragment.candidates)
        if self._candidates > limits.sdp_candidates:
            raise Refusal(
                400, "fragment", f"There are more than {limits.sdp_candidates} candidates."
            )
        connection = self._connection
        if connection is None:
            raise Refusal(404, "connection", "There is no such connection, or it has ended.")
        try:
            async with asyncio.timeout(limits.negotiate_seconds):
                for candidate in fragment.candidates:
                    await connection.addIceCandidate(candidate)
        except TimeoutError:
            return  # a name of the local network that nobody answers to

    def send(self, message: dict[str, object]) -> None:
        """To the other end's data channel, if it has one and takes what it is sent."""
        channel = self._channel
        full = channel is not None and channel.bufferedAmount > SERVER_LIMITS.body_bytes
        if channel is not None and channel.readyState == "open" and not full:
            channel.send(json.dumps(message))

    async def close(self) -> None:
        for task in self._receiving.values():
            task.cancel()
        for track in self._ends.outgoing.values():
            track.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close(connection)

    def _on_track(self, track: MediaStreamTrack) -> None:
        receive = self._ends.incoming.get(track.kind)
        if receive is not None and track.kind not in self._receiving:
            self._receiving[track.kind] = asyncio.create_task(receive(track))
        else:
            track.stop()

    def _on_channel(self, channel: aiortc.RTCDataChannel) -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._on_message)
            self._ends.hear(self, "")

    def _on_message(self, message: str | bytes) -> None:
        self._ends.hear(self, message if isinstance(message, str) else "\0")

    def _on_state(self) -> None:
        state = self._connection and self._connection.connectionState
        if state in ("closed", "failed"):
            self._ends.gone(self, state)


class Connection(aiortc.RTCPeerConnection):
    """Closed while it still connects, aiortc's own fails in a task that nobody waits for."""

    async def _RTCPeerConnection__connect(self) -> None:
        try:
            await super()._RTCPeerConnection__connect()  # type: ignore[misc]
        except Exception:
            if self.signalingState != "closed":
                raise


async def _close(connection: aiortc.RTCPeerConnection) -> None:
    """What an offer left half built trips aiortc once more when it is closed; its sockets are closed all the same."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    except Exception:  # noqa: BLE001
        for transceiver in connection.getTransceivers():
            with suppress(Exception):
                await transceiver.receiver.transport.transport.stop()


def check_offer(sdp: str, limits: ServerLimits = SERVER_LIMITS) -> None:
    """Refuses what is too long to be worth reading, and what has not one video."""
    if len(sdp.encode("utf-8", "replace")) > limits.sdp_bytes:
        raise Refusal(413, "offer", f"The offer is longer than {limits.sdp_bytes} bytes.")
    # As aiortc does, which knows more ends of lines than a regular expression.
    lines = sdp.splitlines()
    kinds = [line[2:].partition(" ")[0] for line in lines if line.startswith("m=")]
    if kinds.count("video") != 1:
        raise Refusal(400, "offer", f"The offer must have one video, not {kinds.count('video')}.")
    # Without these aiortc answers all the same, and fails later in a task of its own.
    if not all(any(re.match(f"a={name}:.", line) for line in lines) for name in NEEDED):
        raise Refusal(400, "offer", f"The offer must have {', '.join(NEEDED)}.")
    if len(kinds) > limits.sdp_media:
        raise Refusal(400, "offer", f"The offer has more than {limits.sdp_media} media.")
    if _candidates(sdp) > limits.sdp_candidates:
        raise Refusal(400, "offer", f"The offer has more than {limits.sdp_candidates} candidates.")


def has_sound(sdp: str) -> bool:
    return any(line.startswith("m=audio") for line in sdp.splitlines())


def _candidates(sdp: str) -> int:
    return sum(line.startswith("a=candidate:") for line in sdp.splitlines())


def connection(config: ServerConfig, turn_password: str | None = None) -> Connection:
    servers = [aiortc.RTCIceServer(**one) for one in ice_servers(config, turn_password)]
    return Connection(aiortc.RTCConfiguration(iceServers=servers))


def ice_servers(config: ServerConfig, turn_password: str | None) -> list[dict[str, str]]:
    """STUN and TURN, for both ends. None unless configured: nothing is asked of anybody else."""
    servers: list[dict[str, str]] = []
    if config.stun:
        servers.append({"urls": config.stun})
    if config.turn:
        login = {"username": config.turn_user or "", "credential": turn_password or ""}
        servers.append({"urls": config.turn, **login})
    return servers


def reach_this_machine() -> None:
    """Lets connections come over the loopback, which aioice leaves out and has no setting for."""
    from aioice import ice

    others = ice.get_host_addresses
    if others.__module__ == __name__:
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1", *others(use_ipv4=use_ipv4, use_ipv6=use_ipv6)]

    ice.get_host_addresses = addresses


def raise_bitrates() -> None:
    """Constants in aiortc, meant for calls of 1 Mbit/s: brush strokes would be mush."""
    from aiortc.codecs import h264, vpx

    vpx.DEFAULT_BITRATE, vpx.MAX_BITRATE = BITRATES
    h264.DEFAULT_BITRATE, h264.MAX_BITRATE = BITRATES
