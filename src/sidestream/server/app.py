"""The application: its pages, health and controls.

Routes of connections are in connections.py, rules on who may call in security.py, sessions in sessions.py.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import resources
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sidestream import __version__
from sidestream.config_live import ServerConfig
from sidestream.server import metrics
from sidestream.server.connections import Door, Name, page_routes, whep_routes, whip_routes
from sidestream.server.forms import Change, Condition, Error, Offer, Shown
from sidestream.server.refusal import Refusal
from sidestream.server.sessions import Sessions

REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Error}
    for code in (400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 421, 422, 429, 503, 504)
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
    door = Door(sessions, config, turn_password)
    for routes in (page_routes(door, model), whip_routes(door), whep_routes(door)):
        app.include_router(routes)
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

    return router


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
