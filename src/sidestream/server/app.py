"""The routes: what each takes and gives. Rules on who may call are in security.py, sessions in sessions.py."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sidestream import __version__
from sidestream.config import LIMITS
from sidestream.config_live import ServerConfig
from sidestream.server import metrics, peer
from sidestream.server.forms import NAME, Answer, Change, Condition, Error, Offer, Shown
from sidestream.server.refusal import Refusal
from sidestream.server.session import Session
from sidestream.server.sessions import Sessions

SDP = "application/sdp"
SIDE = 512
"""Longer side of the pictures that the page sends."""

Name = Annotated[str, Path(pattern=NAME)]
SDP_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {SDP: {"schema": {"type": "string"}}}}
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Error}
    for code in (400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 429, 503, 504)
}


def build(
    sessions: Sessions, config: ServerConfig, model: str, turn_password: str | None = None
) -> FastAPI:
    """The application without its guard."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        watching = asyncio.create_task(sessions.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await sessions.drain()

    app = FastAPI(
        title="sidestream",
        version=__version__,
        description="Restyles live video by prompt.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
    )
    app.include_router(_pages())
    app.include_router(_health(sessions))
    app.include_router(_controls(sessions))
    app.include_router(_connections(sessions, config, model, turn_password))
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _no_route)
    return app


def _pages() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page() -> Response:
        return _file("index.html")

    @router.get("/docs")
    def docs() -> Response:
        return _file("docs.html")

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        return _file(name)

    return router


def _health(sessions: Sessions) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=dict[str, str])
    def healthz() -> Response:
        """Whether the server works at all."""
        failed = sessions.health == "failed"
        return JSONResponse({"health": sessions.health}, 500 if failed else 200)

    @router.get("/readyz", response_model=dict[str, str])
    def readyz() -> Response:
        """Whether new sessions would be restyled now."""
        ready = sessions.health in ("ok", "degraded")
        return JSONResponse({"health": sessions.health}, 200 if ready else 503)

    @router.get("/stats")
    def stats() -> dict[str, Any]:
        """Sessions, seats, the queue, and what the model's process says of itself."""
        return dict(metrics.as_json(sessions))

    @router.get("/metrics", response_class=Response)
    def exposition() -> Response:
        """The same for Prometheus."""
        return Response(metrics.exposition(sessions), media_type="text/plain; version=0.0.4")

    return router


def _controls(sessions: Sessions) -> APIRouter:
    router = APIRouter(prefix="/sessions/{session}", tags=["sessions"])

    @router.get("")
    async def condition(session: Name) -> Condition:
        return sessions.get(session).condition(sessions.studio.state)

    @router.delete("", status_code=204)
    async def end(session: Name) -> None:
        await sessions.close(sessions.get(session), "The session was ended.")

    @router.get("/controls")
    async def controls(session: Name) -> Shown:
        return Shown.of(sessions.get(session).desk.controls)

    @router.patch("/controls")
    async def change(session: Name, change: Change) -> Shown:
        """Changes what is given; every page of the session is told. Of changes that come too fast the latest wins."""
        return Shown.of(sessions.get(session).desk.ask(change))

    @router.delete("/viewers/{viewer}", status_code=204)
    async def leave(session: Name, viewer: Name) -> None:
        await sessions.get(session).leave(viewer)

    return router


def _connections(
    sessions: Sessions, config: ServerConfig, model: str, password: str | None
) -> APIRouter:
    router = APIRouter(tags=["connections"])

    def connection() -> Any:
        return peer.connection(config, password)

    async def begun(change: Change | None, join: Callable[[Session], Any], **how: Any) -> Any:
        """A new session that is joined, or none at all."""
        session = sessions.open(change, **how)
        try:
            return session, *await join(session)
        except BaseException:
            await sessions.close(session, "No connection came about.")
            raise

    @router.get("/config")
    def settings() -> dict[str, Any]:
        """What the page needs to know: ICE servers, sizes, limits."""
        return {
            "model": model,
            "ice_servers": peer.ice_servers(config, password),
            "side": SIDE,
            "prompt_characters": LIMITS.prompt_characters,
            "max_steps": LIMITS.max_steps,
        }

    @router.post("/offer")
    async def offer(offer: Offer) -> Answer:
        """Answers the page's offer: begins a session, or joins the one that is named."""
        peer.check_offer(offer.sdp)

        async def join(session: Session) -> tuple[peer.Peer, str]:
            publish = offer.session is None
            return await session.join(
                connection(), offer.sdp, publish=publish, watch=True, stamped=offer.stamped
            )

        if offer.session is None:
            session, _, sdp = await begun(offer.controls, join, ticket=offer.ticket)
        else:
            session = sessions.get(offer.session)
            _, sdp = await join(session)
        return Answer(sdp=sdp, session=session.id, controls=Shown.of(session.desk.controls))

    async def publish(request: Request, name: str | None) -> Response:
        sdp = await _sdp(request)

        async def join(session: Session) -> tuple[peer.Peer, str]:
            return await session.join(connection(), sdp, publish=True, watch=False, stamped=False)

        session, _, answer = await begun(None, join, name=name)
        return _created(answer, f"/sessions/{session.id}")

    @router.post("/whip", status_code=201, openapi_extra=SDP_BODY, response_class=Response)
    async def whip(request: Request) -> Response:
        """Takes a picture from OBS or another WHIP client; the session is in Location."""
        return await publish(request, None)

    @router.post("/whip/{name}", status_code=201, openapi_extra=SDP_BODY, response_class=Response)
    async def whip_named(request: Request, name: Name) -> Response:
        """The same, under a name of the client's own, which is all that others need to watch and change it."""
        return await publish(request, name)

    @router.post(
        "/whep/{session}", status_code=201, openapi_extra=SDP_BODY, response_class=Response
    )
    async def whep(request: Request, session: Name) -> Response:
        """Shows a session to a WHEP player."""
        sdp = await _sdp(request)
        watched = sessions.get(session)
        viewer, answer = await watched.join(
            connection(), sdp, publish=False, watch=True, stamped=False
        )
        return _created(answer, f"/sessions/{watched.id}/viewers/{viewer.id}")

    return router


async def _sdp(request: Request) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SDP:
        raise Refusal(415, "type", f"An offer is sent as {SDP}.")
    text = (await request.body()).decode("utf-8", "replace")
    peer.check_offer(text)
    return text


def _created(answer: str, place: str) -> Response:
    return Response(answer, 201, {"location": place}, SDP)


@cache
def _files() -> dict[str, bytes]:
    """The page's files, read once: no path from a client ever reaches the file system."""
    folder = resources.files("sidestream.server") / "static"
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def _file(name: str) -> Response:
    content = _files().get(name)
    if content is None:
        raise Refusal(404, "route", "There is nothing here.")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return JSONResponse(error.body, error.status, error.headers)


async def _not_valid(request: Request, error: Exception) -> Response:
    """Names the place and the rule, never what was sent: that may be a secret, or no JSON at all, such as NaN."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = {*Offer.model_fields, *Change.model_fields, "session", "name", "viewer"}
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part in fields) or "request"
    return JSONResponse({"error": "invalid", "message": f"{where}: {first['msg']}"}, 422)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    said = {404: "There is nothing here.", 405: "This cannot be done here."}
    message = said.get(status, "The request cannot be read.")
    return JSONResponse({"error": "route", "message": message}, status, headers)
