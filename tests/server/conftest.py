"""A server around a studio that is a fake, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("aiortc", reason="the server's tests need: pip install 'sidestream[server]'")

import httpx
from aioice import ice

from server.browser import CHROMIUM, MISSING
from server.callers import Caller, http_to
from server.fakes import FakeStudio
from sidestream.config_live import ServerConfig, ServerLimits
from sidestream.server import peer
from sidestream.server.app import build
from sidestream.server.security import Guard, Policy
from sidestream.server.sessions import Sessions
from sidestream.types import Controls

BASE = Controls(prompt="invert the colors")


@dataclass
class Clock:
    """Stands still until it is told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """A whole server, and those who call it."""

    studio: FakeStudio
    sessions: Sessions
    app: Guard
    http: httpx.AsyncClient
    callers: list[Caller]

    def caller(self) -> Caller:
        self.callers.append(Caller(self.http))
        return self.callers[-1]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session", autouse=True)
def loopback() -> Iterator[None]:
    before = ice.get_host_addresses
    ice.get_host_addresses = lambda use_ipv4, use_ipv6: []
    peer.reach_this_machine()
    yield
    ice.get_host_addresses = before


@pytest.fixture
def config() -> ServerConfig:
    return ServerConfig()


@pytest.fixture
def limits() -> ServerLimits:
    return ServerLimits()


@pytest.fixture
async def house(config: ServerConfig, limits: ServerLimits) -> AsyncIterator[House]:
    studio = FakeStudio(config.seats)
    sessions = Sessions(studio, config, BASE, limits=limits)
    app = Guard(build(sessions, config, "fake"), Policy(config, limits))
    watching = asyncio.create_task(sessions.watch())
    async with http_to(app) as http:
        house = House(studio, sessions, app, http, [])
        yield house
        for caller in house.callers:
            await caller.close()
        watching.cancel()
        sessions.limits = ServerLimits(drain_seconds=0.01)
        await sessions.drain()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A run without a browser looks like any other, so it is said once more at its end."""
    if CHROMIUM is None:
        terminalreporter.write_line(MISSING, red=True, bold=True)
