"""Who is let in, before any route is looked for or any body read. Rules are in Policy; Guard puts them around an app."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidestream.config_live import SERVER_LIMITS, ServerConfig, ServerLimits
from sidestream.errors import ConfigError
from sidestream.server import cors
from sidestream.server.refusal import Refusal

T = TypeVar("T")
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


def is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def settled(config: ServerConfig) -> ServerConfig:
    """With the token that will hold. An address that others can reach is refused without one."""
    if config.token == "random":
        return replace(config, token=secrets.token_urlsafe(24))
    if config.token is None and not is_loopback(config.host):
        raise ConfigError(
            f"--host {config.host} lets others in, and there is no token: set SIDESTREAM_TOKEN, or give --token random"
        )
    return config


@dataclass
class Policy:
    """The rules, and what is remembered of callers: how fast they call, how often they gave a wrong token."""

    config: ServerConfig
    limits: ServerLimits = SERVER_LIMITS
    clock: Callable[[], float] = time.monotonic
    _allowance: OrderedDict[str, tuple[float, float]] = field(
        default_factory=OrderedDict[str, tuple[float, float]]
    )
    _failed: OrderedDict[str, tuple[int, float]] = field(
        default_factory=OrderedDict[str, tuple[int, float]]
    )

    def check(
        self, path: str, headers: Mapping[str, str], address: str, method: str = "GET"
    ) -> None:
        """Refuses, or returns."""
        self._check_rate(address)
        host = headers.get("host", "")
        if not self._is_our_name(host):
            raise Refusal(421, "host", "This server does not go by that name: see --allow-host.")
        origin = headers.get("origin")
        invited = self.invites(origin, path)
        if (
            not invited
            and origin is not None
            and origin.partition("://")[2].lower() != host.lower()
        ):
            raise Refusal(403, "origin", "Pages of other sites may not use this server.")
        # A browser asks first whether it may send a token at all.
        asks = invited and method == "OPTIONS"
        if self.config.token is not None and not asks and not PUBLIC.fullmatch(path):
            self._check_token(headers.get("authorization", ""), address)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.limits.body_bytes:
            raise Refusal(413, "body", f"A request has at most {self.limits.body_bytes} bytes.")

    def invites(self, origin: str | None, path: str) -> bool:
        """Whether this is a page of another site that may be here."""
        return cors.allowed(origin, path, self.config.allow_origin)

    def _is_our_name(self, host: str) -> bool:
        name = _host_name(host)
        if name in {"localhost", *map(str.lower, self.config.allow_host)}:
            return True
        if is_loopback(self.config.host):
            return is_loopback(name)
        # A page of another site can make its name mean our address, but not be called by a number.
        ours = {self.config.host.lower(), socket.gethostname().lower()}
        return _address(name) is not None or name in ours

    def _check_rate(self, address: str) -> None:
        now, rate = self.clock(), self.limits.calls_per_second
        left, then = self._allowance.pop(address, (2 * rate, now))
        left = min(2 * rate, left + (now - then) * rate)
        self._remember(self._allowance, address, (max(left - 1, 0.0), now))
        if left < 1:
            raise Refusal(429, "rate", "Too many requests: slow down.", retry_after=1)

    def _check_token(self, given: str, address: str) -> None:
        now = self.clock()
        count, then = self._failed.get(address, (0, now))
        if now - then > self.limits.lockout_seconds:
            count = 0
        if count >= self.limits.failed_logins:
            wait = round(self.limits.lockout_seconds)
            raise Refusal(429, "locked", "Too many wrong tokens: wait a while.", retry_after=wait)
        scheme, _, token = given.partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self.config.token or ""):
            return
        if given:
            self._remember(self._failed, address, (count + 1, now))
        raise Refusal(401, "token", "This server asks for a token.")

    def _remember(self, table: OrderedDict[str, T], address: str, value: T) -> None:
        table[address] = value
        table.move_to_end(address)
        while len(table) > self.limits.addresses:
            table.popitem(last=False)


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
        invited = self._policy.invites(origin, path)
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


def _same(given: str, token: str) -> bool:
    """In a time that does not tell how much of it was right."""
    sums = [hashlib.sha256(one.encode("utf-8", "replace")).digest() for one in (given, token)]
    return hmac.compare_digest(*sums)


def _host_name(host: str) -> str:
    """Without its port; anything odd is nobody's name."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::\d{1,5})?", host)
    return found[1].strip("[]").lower() if found else ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
