"""Runs the server until a signal: checks first, then listens, then drains."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from sidestream.config_live import SERVER_LIMITS, ServerConfig, ServerLimits
from sidestream.console import EXIT_CODES, signalled
from sidestream.errors import ConfigError
from sidestream.live.studio import Studio
from sidestream.server import decoders, losses, peer, security, tls
from sidestream.server.app import build
from sidestream.server.protocol import bounded
from sidestream.server.security import Guard, Policy
from sidestream.server.sessions import Sessions
from sidestream.types import Controls

HEAD_BYTES = 16 * 1024
"""Of a request's headers."""


def serve(
    studio: Callable[[], Studio],
    config: ServerConfig,
    base: Controls,
    model: str,
    *,
    turn_password: str | None = None,
    limits: ServerLimits = SERVER_LIMITS,
    say: Callable[[str], object] = lambda words: None,
) -> Mapping[str, int]:
    """Serves until a signal. What can be refused is refused before the studio is opened. Returns counts.

    After a second signal, which waits for nobody, it leaves by SystemExit.
    """
    made = config.token == security.RANDOM
    config = security.settled(config)
    certificate = tls.certificate(config) if config.tls else None
    listening = listen(config)
    if security.is_loopback(config.host):
        peer.reach_this_machine()
    peer.raise_bitrates()
    decoders.bound(limits.received_pixels)
    losses.mend()
    with closing(listening), told_to_stop() as told, _closed_at_once(studio()) as opened:
        sessions = Sessions(opened, config, base, limits=limits)
        app = Guard(build(sessions, config, model, turn_password), Policy(config, limits))
        for line in greeting(config, listening.getsockname()[1], tell_token=made):
            say(line)
        asyncio.run(_run(app, sessions, listening, certificate, told))
    return sessions.counts


@dataclass
class Told:
    """The signals that came, from before there is a loop until all is closed, and who else hears of them."""

    signals: list[signal.Signals] = field(default_factory=list[signal.Signals])
    tell: Callable[[], object] = lambda: None

    def note(self, number: signal.Signals) -> None:
        self.signals.append(number)
        self.tell()


@contextmanager
def told_to_stop() -> Generator[Told]:
    told = Told()
    with signalled(told.note):
        yield told
    if len(told.signals) > 1:
        raise SystemExit(EXIT_CODES[told.signals[1]])


@contextmanager
def _closed_at_once(studio: Studio) -> Generator[Studio]:
    try:
        yield studio
    finally:
        studio.drain(0.0)
        studio.close()


def listen(config: ServerConfig) -> socket.socket:
    """Bound here and not by uvicorn, which would leave with a log line and a code of its own."""
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family[0], socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"--host {config.host} is no address of this machine ({error.strerror})"
        ) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(family[4])
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"port {config.port} of {config.host} cannot be used ({error.strerror}): give another --port"
        ) from error
    return bound


def greeting(config: ServerConfig, port: int, *, tell_token: bool = False) -> list[str]:
    """Where to go. A token that nobody else can know yet is in the part of the address that no browser sends."""
    scheme, token = "https" if config.tls else "http", f"#token={config.token}" * tell_token
    hosts = [f"[{host}]" if ":" in host else host for host in _hosts(config.host)]
    lines = [f"open {scheme}://{host}:{port}/{token}" for host in hosts]
    if config.tls:
        lines.append("the certificate is our own: the browser warns once, go on to the page")
    elif not security.is_loopback(config.host):
        lines.append("without --tls browsers give no camera to pages of another machine")
    return [*lines, "the model is being loaded, and the page says when it is there; Ctrl-C ends"]


def _hosts(host: str) -> list[str]:
    """What others can call us by; where all addresses listen, a phone finds a number and seldom a name."""
    if host not in ("0.0.0.0", "::"):
        return [host]
    from aioice import ice

    return ice.get_host_addresses(use_ipv4=True, use_ipv6=False)[:3] or [socket.gethostname()]


async def _run(
    app: Any,
    sessions: Sessions,
    listening: socket.socket,
    certificate: tuple[Any, Any] | None,
    told: Told,
) -> None:
    server = _Server(settings(app, sessions.limits, certificate), sessions)
    loop = asyncio.get_running_loop()
    told.tell = lambda: loop.call_soon_threadsafe(server.stop)
    try:
        for _ in told.signals:
            server.stop()
        await server.serve(sockets=[listening])
    finally:
        told.tell = lambda: None


def settings(app: Any, limits: ServerLimits, certificate: tuple[Any, Any] | None) -> uvicorn.Config:
    """Nothing is left to be chosen by what else is installed, and no header says who calls."""
    return uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        loop="asyncio",
        http=bounded(limits),
        ws="none",
        lifespan="on",
        limit_concurrency=256,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ssl_certfile=certificate and str(certificate[0]),
        ssl_keyfile=certificate and str(certificate[1]),
    )


class _Server(uvicorn.Server):
    """Leaves signals to us: sessions end first, while callers can still ask; a second signal waits for nobody."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions
        self._stopping: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def stop(self) -> None:
        if self._stopping is not None:
            self._sessions.hurried = True
        else:
            self._stopping = asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        await self._sessions.drain()
        self.should_exit = True
