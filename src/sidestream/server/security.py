"""Who is let in, before any route is looked for or any body read. Rules are in Policy; Guard puts them around an app."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidestream.config_live import SERVER_LIMITS, ServerConfig, ServerLimits
from sidestream.errors import ConfigError
from sidestream.server import cors
from sidestream.server.logins import Logins, Rates, caller_of
from sidestream.server.refusal import Refusal

PUBLIC = re.compile(r"/|/docs|/static/[\w.-]+|/healthz|/readyz")
"""What needs no token: pages, which hold nothing and ask for one themselves, and health checks, which have none."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        " media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), display-capture=(self), microphone=(self), geolocation=()",
    "cache-control": "no-store",
}

RANDOM = "random"
"""In the place of a token: one is made."""


def is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def settled(config: ServerConfig) -> ServerConfig:
    """With the token that will hold. What lets others in is refused without one."""
    if config.token == RANDOM:
        return replace(config, token=secrets.token_urlsafe(24))
    others = [name for name in config.allow_host if not is_loopback(name)]
    if config.token is None and others:
        raise ConfigError(
            f"--allow-host {others[0]} lets others in, and there is no token: set SIDESTREAM_TOKEN, or give --token random"
        )
    if config.token is None and not is_loopback(config.host):
        raise ConfigError(
            f"--host {config.host} lets others in, and there is no token: set SIDESTREAM_TOKEN, or give --token random"
        )
    return config


class Policy:
    """The rules. What is remembered of callers is in logins.py."""

    def __init__(
        self,
        config: ServerConfig,
        limits: ServerLimits = SERVER_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.limits = limits
        self.rates = Rates(limits.calls_per_second, limits.addresses, clock)
        self._logins = Logins(config.token, limits, clock) if config.token is not None else None

    def check(
        self, path: str, headers: Mapping[str, str], address: str, method: str = "GET"
    ) -> None:
        """Refuses, or returns. Calls are counted by what they turn out to be, so that no other kind uses them up."""
        caller = caller_of(address)
        counted = f"{caller} for another site"
        try:
            self._check_site(path, headers, method)
            counted = caller
            if self._logins is not None and not self._is_open(path, headers, method):
                self._logins.check(headers.get("authorization", ""), caller)
                counted = f"{caller} with the token"
        finally:
            if not self.rates.take(counted):
                raise Refusal(429, "rate", "Too many requests: slow down.", retry_after=1)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.limits.body_bytes:
            raise Refusal(413, "body", f"A request has at most {self.limits.body_bytes} bytes.")

    def _check_site(self, path: str, headers: Mapping[str, str], method: str) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_our_name(host):
            raise Refusal(421, "host", "This server does not go by that name: see --allow-host.")
        ours = origin is None or origin.partition("://")[2].lower() == host.lower()
        if not self.invites(origin, method, path) and not (ours and _is_asked_by_us(headers)):
            raise Refusal(403, "origin", "Pages of other sites may not use this server.")

    def _is_open(self, path: str, headers: Mapping[str, str], method: str) -> bool:
        """A browser asks first whether it may send a token at all."""
        asks = method == "OPTIONS" and self.invites(headers.get("origin"), method, path)
        return asks or bool(PUBLIC.fullmatch(path))

    def invites(self, origin: str | None, method: str, path: str) -> bool:
        """Whether this is a page of another site that may be here."""
        return cors.allowed(origin, method, path, self.config.allow_origin)

    def _is_our_name(self, host: str) -> bool:
        name = _host_name(host)
        if name in {"localhost", *map(str.lower, self.config.allow_host)}:
            return True
        if is_loopback(self.config.host):
            return is_loopback(name)
        # A page of another site can make its name mean our address, but not be called by a number.
        ours = {self.config.host.lower(), socket.gethostname().lower()}
        return _address(name) is not None or name in ours


class Guard:
    """Puts the policy, the limit on bodies and the headers around an application."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        origin, path, method = headers.get("origin"), scope["path"], scope["method"]
        invited = self._policy.invites(origin, method, path)
        added = {**HEADERS, **(cors.told(origin) if invited and origin else {})}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", [])}
                extra = [
                    (k.encode(), v.encode()) for k, v in added.items() if k.encode() not in own
                ]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        try:
            self._policy.check(path, headers, (scope.get("client") or ("", 0))[0], method)
            body = await read_body(receive, self._policy.limits)
        except Refusal as refusal:
            await refuse(refusal, with_headers)
            return
        if invited and method == "OPTIONS":
            await answer(204, cors.PREFLIGHT, b"", with_headers)
            return
        await self._app(scope, _once(body, receive), with_headers)


async def read_body(receive: Receive, limits: ServerLimits) -> bytes:
    """All of it, however it comes; too much, or too slowly, is refused."""
    body = b""
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > limits.body_bytes:
                    raise Refusal(413, "body", f"A request has at most {limits.body_bytes} bytes.")
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise Refusal(408, "slow", "The request did not come in time.") from None


async def refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps(refusal.body).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **refusal.headers,
    }
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    await answer(refusal.status, headers, body, send)


async def answer(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _once(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _is_asked_by_us(headers: Mapping[str, str]) -> bool:
    """Browsers say it also where they name no origin, as for a picture. Anybody may open the page."""
    opened = headers.get("sec-fetch-mode") == "navigate"
    document = headers.get("sec-fetch-dest", "document") == "document"
    site = headers.get("sec-fetch-site", "same-origin")
    return site in ("same-origin", "none") or (opened and document)


def _host_name(host: str) -> str:
    """Without its port; anything odd is nobody's name."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::\d{1,5})?", host)
    return found[1].strip("[]").lower() if found else ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
