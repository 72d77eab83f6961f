"""One person's session: a seat, who is connected to it, and when it ends. Nothing here knows other sessions."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamTrack
from pydantic import ValidationError

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.live.pace import Lag
from sidestream.live.studio import Seat, State
from sidestream.media.capture import Sound
from sidestream.server import sound, stamp
from sidestream.server.desk import Desk
from sidestream.server.ending import Times, ending
from sidestream.server.forms import Change, Condition, Shown
from sidestream.server.pace import Ages
from sidestream.server.peer import Ends, Peer, Receive, has_sound
from sidestream.server.refusal import Refusal
from sidestream.server.sound import Delayed
from sidestream.server.track import Restyled, Taken, receive
from sidestream.server.transition import Picture

REMEMBERED_STAMPS = 256


class Session:
    """Owns a seat and its peers. Everything happens on the event loop."""

    def __init__(
        self,
        seat: Seat,
        clock: Callable[[], float],
        *,
        name: str | None = None,
        address: str = "",
        limits: ServerLimits = SERVER_LIMITS,
        interpolate: bool = False,
    ) -> None:
        self.id = name or secrets.token_urlsafe(16)
        self.address = address
        self.desk = Desk(seat, self.tell, clock, limits)
        self.peers: dict[str, Peer] = {}
        self.left = False
        """The one who sent the picture went, and nobody else is there."""
        self._seat = seat
        self._clock = clock
        self._limits = limits
        self._interpolate = interpolate
        self._between = 0
        self._times = Times(clock())
        self._values: OrderedDict[float, int] = OrderedDict()
        self._picture: Picture | None = None
        self._ours, self._untouched = Ages(), True
        self._lag = Lag()
        self._listeners: list[Delayed] = []
        self._shown_revision = -1
        self._closing: set[asyncio.Future[None]] = set()

    async def join(
        self, connection: RTCPeerConnection, sdp: str, *, publish: bool, watch: bool, stamped: bool
    ) -> tuple[Peer, str]:
        """Connects somebody; returns them and the answer to their offer."""
        if len(self.peers) >= self._limits.peers_in_session:
            await connection.close()
            most = self._limits.peers_in_session
            raise Refusal(503, "full", f"This session has {most} connections, which is the most.")
        ends = Ends(
            self._outgoing(sdp, stamped=stamped) if watch else {},
            self._incoming(stamped=stamped) if publish else {},
            self._hear,
            self._gone,
        )
        peer = Peer(connection, ends, self._clock())
        self.peers[peer.id] = peer
        try:
            return peer, await peer.answer(sdp, self._limits)
        except BaseException:
            self.peers.pop(peer.id, None)
            raise

    def _outgoing(self, sdp: str, *, stamped: bool) -> dict[str, MediaStreamTrack]:
        tracks: dict[str, MediaStreamTrack] = {
            "video": Restyled(
                self._look,
                self._sent,
                stamped=stamped,
                interpolate=self._interpolate,
                clock=self._clock,
            )
        }
        if has_sound(sdp):
            heard = Delayed(lambda: self._lag.follow(self._ours.at(0.5)), self._clock)
            self._listeners = [one for one in self._listeners if one.readyState == "live"]
            self._listeners.append(heard)
            tracks["audio"] = heard
        return tracks

    def _incoming(self, *, stamped: bool) -> dict[str, Receive]:
        def take(piece: Sound) -> None:
            for listener in self._listeners:
                listener.add(piece)

        return {
            "video": lambda track: receive(track, self._take, stamped=stamped, clock=self._clock),
            "audio": lambda track: sound.receive(track, take, clock=self._clock),
        }

    @property
    def publisher(self) -> Peer | None:
        """Who sends the picture."""
        return next((one for one in self.peers.values() if one.publishes), None)

    def check(self, state: State) -> str:
        """Called many times a second: hands waiting changes over. Returns why the session ends, if it does."""
        now = self._clock()
        self.desk.settle()
        self._drop_absent(now)
        connected = [peer for peer in self.peers.values() if peer.connected]
        times = self._times
        self._times = Times(
            times.born,
            times.frame,
            now if any(peer.watches for peer in connected) else times.watched,
            times.connected or any(peer.publishes for peer in connected),
        )
        return "The connection was closed." if self.left else ending(now, self._times, self._limits)

    def _drop_absent(self, now: float) -> None:
        """Viewers who never come. Without the one who sends the picture the session ends, and says so."""
        for peer in list(self.peers.values()):
            late = now - peer.born > self._limits.connect_seconds
            if late and not peer.connected and not peer.publishes:
                self._gone(peer, "never connected")

    def report(self, state: State) -> None:
        """Tells every page how things are."""
        self.tell({"type": "condition", **self.condition(state).model_dump(exclude={"controls"})})

    def condition(self, state: State) -> Condition:
        shown = self._seat.shown()
        name, reason = state.health, state.reason
        stopped = (
            self._clock() - (self._times.frame or self._times.born) > self._limits.pause_seconds
        )
        if stopped:
            name, reason = "stopped", "No picture comes from your side."
        elif shown is not None and shown.origin != "restyled":
            name, reason = shown.origin, shown.notice or reason
        elif shown is not None:
            reason = shown.notice or reason
        figures = {
            **self._seat.stats(),
            "server_p50": self._ours.at(0.5),
            "server_p95": self._ours.at(0.95),
            "changes_overtaken": self.desk.overtaken,
            "shown_between": self._between,
            "sound_delay": self._lag.seconds,
        }
        return Condition(
            session=self.id,
            state=name,
            reason=reason,
            controls=Shown.of(self.desk.controls),
            peers=len(self.peers),
            figures={key: float(value) for key, value in figures.items()},
        )

    def tell(self, message: dict[str, object]) -> None:
        for peer in list(self.peers.values()):
            peer.send(message)

    async def leave(self, peer_id: str) -> None:
        peer = self.peers.pop(peer_id, None)
        if peer is not None:
            await peer.close()

    async def close(self, reason: str) -> None:
        self.tell({"type": "bye", "reason": reason})
        for peer_id in list(self.peers):
            await self.leave(peer_id)
        self._seat.close()

    def _take(self, taken: Taken) -> None:
        self._times = Times(
            self._times.born, self._clock(), self._times.watched, self._times.connected
        )
        if taken.value is not None:
            self._values[taken.captured] = taken.value
            while len(self._values) > REMEMBERED_STAMPS:
                self._values.popitem(last=False)
        self._seat.submit(taken.pixels, taken.captured)

    def _look(self) -> Picture | None:
        shown = self._seat.shown()
        if shown is None:
            return None
        if self._picture is None or self._picture.shown.sequence != shown.sequence:
            strip = self._values.get(shown.stamp)
            self._picture = Picture(shown, stamp.add(shown.pixels, strip))
        return self._picture

    def _sent(self, picture: Picture, now: float) -> None:
        if picture.between:
            self._between += 1
            return
        untouched = picture.shown.origin == "source"
        if untouched != self._untouched:  # what is restyled is late in another way
            self._ours, self._untouched = Ages(), untouched
        self._ours.add(now - picture.shown.stamp)
        if picture.shown.revision != self._shown_revision:
            self._shown_revision = picture.shown.revision
            self.tell({"type": "shown", "revision": picture.shown.revision})

    def _hear(self, peer: Peer, message: str) -> None:
        """A message of a page; an empty one says that it can be told things from now on."""
        try:
            if message:
                self.desk.ask(_read(message, self._limits))
            else:
                peer.send(self.desk.message)
        except Refusal as refusal:
            peer.bad_messages += 1
            peer.send({"type": "refused", **refusal.body})
            if peer.bad_messages >= self._limits.bad_messages:
                self._gone(peer, "bad messages")

    def _gone(self, peer: Peer, how: str) -> None:
        if self.peers.pop(peer.id, None) is not None:
            closing = asyncio.ensure_future(peer.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self.left = not self.peers


def _read(message: str, limits: ServerLimits) -> Change:
    if len(message) > limits.message_bytes:
        raise Refusal(413, "message", f"The message is longer than {limits.message_bytes} bytes.")
    try:
        values = json.loads(message)
        if isinstance(values, dict) and values.pop("type", None) == "change":
            return Change.model_validate(values)
    except (ValueError, ValidationError, RecursionError):
        pass
    raise Refusal(422, "message", "The message is not understood.")
