"""The routes by which connections come about: the page's offer, WHIP and WHEP, and what is added to them later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from aiortc import RTCPeerConnection
from fastapi import APIRouter, Path, Request, Response

from sidestream.config import LIMITS
from sidestream.config_live import ServerConfig, ServerLimits
from sidestream.server import candidates, peer, trickle
from sidestream.server.forms import NAME, Answer, Change, Offer, Shown
from sidestream.server.logins import caller_of
from sidestream.server.peer import Peer
from sidestream.server.refusal import Refusal
from sidestream.server.security import is_loopback
from sidestream.server.session import Session
from sidestream.server.sessions import Sessions

SDP = "application/sdp"
SIDE = 512
"""Longer side of the pictures that the page sends."""

Name = Annotated[str, Path(pattern=NAME)]


def _takes(kind: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": {"type": "string"}}}}}


@dataclass(frozen=True)
class Door:
    """Where people come in: begins sessions and joins them."""

    sessions: Sessions
    config: ServerConfig
    turn_password: str | None

    def connection(self) -> RTCPeerConnection:
        return peer.connection(self.config, self.turn_password)

    async def begin(
        self, change: Change | None, sdp: str, *, watch: bool, stamped: bool = False, **how: Any
    ) -> tuple[Session, str]:
        """A new session that is joined, with the answer; or none at all."""
        session = self.sessions.open(change, **how)
        try:
            _, answer = await session.join(
                self.connection(), sdp, publish=True, watch=watch, stamped=stamped
            )
        except BaseException:
            await self.sessions.close(session, "No connection came about.")
            raise
        return session, answer

    async def watch(self, session: Session, sdp: str, *, stamped: bool) -> tuple[Peer, str]:
        return await session.join(
            self.connection(), sdp, publish=False, watch=True, stamped=stamped
        )


def page_routes(door: Door, model: str) -> APIRouter:
    router = APIRouter(tags=["connections"])

    @router.get("/config")
    def settings() -> dict[str, Any]:
        """What the page needs to know: ICE servers, sizes, limits."""
        return {
            "model": model,
            "ice_servers": peer.ice_servers(door.config, door.turn_password),
            "side": SIDE,
            "prompt_characters": LIMITS.prompt_characters,
            "max_steps": LIMITS.max_steps,
        }

    @router.post("/offer")
    async def offer(offer: Offer, request: Request) -> Answer:
        """Answers the page's offer: begins a session, or joins the one that is named."""
        offered = _checked(request, offer.sdp)
        if offer.session is None:
            how = {"ticket": offer.ticket, "address": _address(request)}
            session, sdp = await door.begin(
                offer.controls, offered, watch=True, stamped=offer.stamped, **how
            )
        else:
            session = door.sessions.get(offer.session)
            _, sdp = await door.watch(session, offered, stamped=offer.stamped)
        return Answer(sdp=sdp, session=session.id, controls=Shown.of(session.desk.controls))

    return router


def whip_routes(door: Door) -> APIRouter:
    router = APIRouter(tags=["connections"])

    async def publish(request: Request, name: str | None) -> Response:
        sdp, address = await _sdp(request), _address(request)
        session, answer = await door.begin(None, sdp, watch=False, name=name, address=address)
        return _created(answer, f"/sessions/{session.id}")

    @router.post("/whip", status_code=201, openapi_extra=_takes(SDP), response_class=Response)
    async def whip(request: Request) -> Response:
        """Takes a picture from OBS or another WHIP client; the session is in Location."""
        return await publish(request, None)

    @router.post(
        "/whip/{name}", status_code=201, openapi_extra=_takes(SDP), response_class=Response
    )
    async def whip_named(request: Request, name: Name) -> Response:
        """The same, under a name of the client's own, which is all that others need to watch and change it."""
        return await publish(request, name)

    @router.patch("/sessions/{session}", status_code=204, openapi_extra=_takes(trickle.FRAGMENT))
    async def add(request: Request, session: Name) -> None:
        """Takes candidates that the one who sends the picture found later."""
        await _trickle(request, door.sessions.get(session).publisher, door.sessions.limits)

    return router


def whep_routes(door: Door) -> APIRouter:
    router = APIRouter(tags=["connections"])

    @router.post(
        "/whep/{session}", status_code=201, openapi_extra=_takes(SDP), response_class=Response
    )
    async def whep(request: Request, session: Name) -> Response:
        """Shows a session to a WHEP player."""
        sdp = await _sdp(request)
        watched = door.sessions.get(session)
        viewer, answer = await door.watch(watched, sdp, stamped=False)
        return _created(answer, f"/sessions/{watched.id}/viewers/{viewer.id}")

    place = "/sessions/{session}/viewers/{viewer}"

    @router.patch(place, status_code=204, openapi_extra=_takes(trickle.FRAGMENT))
    async def add(request: Request, session: Name, viewer: Name) -> None:
        """Takes candidates that a player found later."""
        whose = door.sessions.get(session).peers.get(viewer)
        await _trickle(request, whose, door.sessions.limits)

    @router.delete(place, status_code=204)
    async def leave(session: Name, viewer: Name) -> None:
        await door.sessions.get(session).leave(viewer)

    return router


async def _trickle(request: Request, whose: Peer | None, limits: ServerLimits) -> None:
    text = await _text(request, trickle.FRAGMENT)
    if whose is None:
        raise Refusal(404, "connection", "There is no such connection, or it has ended.")
    trickle.check_match(request.headers.get("if-match"))
    near = is_loopback(_address(request))
    await whose.add(trickle.read(text, limits, near=near), limits)


async def _sdp(request: Request) -> str:
    return _checked(request, await _text(request, SDP))


def _checked(request: Request, sdp: str) -> str:
    """An offer that can be answered, with the candidates that may be tried."""
    peer.check_offer(sdp)
    return candidates.kept(sdp, near=is_loopback(_address(request)))


async def _text(request: Request, kind: str) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise Refusal(415, "type", f"What is sent here must be {kind}.")
    return (await request.body()).decode("utf-8", "replace")


def _created(answer: str, place: str) -> Response:
    return Response(answer, 201, {"location": place, "accept-patch": trickle.FRAGMENT}, SDP)


def _address(request: Request) -> str:
    return caller_of(request.client.host) if request.client else ""
