"""Connections of HTTP that never become requests, against a real server in a process of its own."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from server.browser import Server, fake
from sidestream.config_live import ServerLimits
from sidestream.server.protocol import bounded
from sidestream.server.run import HEAD_BYTES, settings

SECONDS, MOST = 1.5, 4
HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = fake("--request-seconds", str(SECONDS), "--connections", str(MOST)).start()
    yield server
    assert server.stop()[0] == 0


@pytest.fixture
def connect(server: Server) -> Iterator:
    """Connections from an address of this machine, closed at the end."""
    with ExitStack() as stack:

        def to(address: str = "127.0.0.1") -> socket.socket:
            made = socket.create_connection(
                ("127.0.0.1", server.port), 20, source_address=(address, 0)
            )
            return stack.enter_context(made)

        yield to
    time.sleep(0.1)


def ended(connection: socket.socket) -> bool:
    """Whether the other end is gone."""
    connection.settimeout(0.05)
    try:
        return connection.recv(4096) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def dripped(connection: socket.socket, data: bytes) -> float:
    """Seconds until the server had enough of a byte every tenth of a second."""
    begun = time.monotonic()
    for at in range(len(data)):
        try:
            connection.sendall(data[at : at + 1])
        except ConnectionError:
            break
        if ended(connection):
            break
        time.sleep(0.05)
    return time.monotonic() - begun


def asked(connection: socket.socket) -> bytes:
    """The answer to a whole request."""
    connection.sendall(HEAD + b"\r\n")
    said = b""
    while not said.endswith(b"}"):
        said += connection.recv(4096)
    return said


@pytest.mark.anyio
async def test_the_same_within_this_process():
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    limits = ServerLimits(request_seconds=0.3, connections_per_address=1)
    config = uvicorn.Config(app, http=bounded(limits), log_config=None)
    state, loop = ServerState(), asyncio.get_running_loop()
    config.load()
    made = await loop.create_server(
        lambda: bounded(limits)(config, state, {}),  # type: ignore[call-arg]
        "127.0.0.1",
        0,
    )
    where = made.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*where)
    writer.write(HEAD + b"\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    refused, second = await asyncio.open_connection(*where)
    assert (await refused.read()).startswith(b"HTTP/1.1 503")
    begun = loop.time()
    with suppress(ConnectionError):
        while await reader.read(100):
            pass
    assert 0.1 < loop.time() - begun < 5
    for one in (writer, second):
        one.close()
    made.close()


def test_a_head_that_drips_is_cut_off(connect):
    seconds = dripped(connect(), HEAD + b"X-Long: " + b"x" * 1000)
    assert SECONDS - 0.2 < seconds < SECONDS + 3


def test_one_who_says_nothing_is_cut_off(connect):
    silent, begun = connect(), time.monotonic()
    while not ended(silent):
        assert time.monotonic() - begun < SECONDS + 5
    assert time.monotonic() - begun > SECONDS - 0.2


def test_a_second_request_that_drips_is_cut_off(connect):
    connection = connect()
    assert asked(connection).startswith(b"HTTP/1.1 200")
    assert dripped(connection, HEAD + b"X-Long: " + b"x" * 1000) < SECONDS + 3


def test_a_body_that_drips_after_its_refusal_is_cut_off(connect):
    connection = connect()
    connection.sendall(b"POST /offer HTTP/1.1\r\nHost: evil\r\nContent-Length: 9000\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 421")
    assert dripped(connection, b"x" * 9000) < SECONDS + 3


def test_requests_in_time_go_on_for_as_long_as_they_like(connect):
    connection, begun = connect(), time.monotonic()
    while time.monotonic() - begun < 2 * SECONDS:
        assert asked(connection).startswith(b"HTTP/1.1 200")
        time.sleep(0.3)


def test_headers_without_an_end_are_refused(connect):
    connection = connect()
    connection.sendall(HEAD)
    sent = 0
    while sent < 3 * HEAD_BYTES and not select.select([connection], [], [], 0.1)[0]:
        sent += connection.send(b"X-Long: " + b"x" * (HEAD_BYTES // 4) + b"\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_who_calls_is_told_by_the_connection_and_by_no_header():
    guarded = fake("--token", "t" * 16).start()
    try:
        statuses: list[int] = []
        for n in range(ServerLimits().failed_logins + 1):
            headers = {"authorization": "Bearer wrong", "x-forwarded-for": f"10.0.0.{n}"}
            statuses.append(httpx.get(f"{guarded.address}stats", headers=headers).status_code)
        assert statuses == [401] * (len(statuses) - 1) + [429]
    finally:
        guarded.stop()


def test_the_servers_parts_are_ours_to_choose_and_not_those_that_happen_to_be_installed():
    chosen = settings(None, ServerLimits(), None)
    chosen.load()
    assert issubclass(chosen.http_protocol_class, H11Protocol)
    assert (chosen.loop, chosen.proxy_headers) == ("asyncio", False)
    assert (chosen.h11_max_incomplete_event_size, chosen.ws) == (HEAD_BYTES, "none")


def test_an_address_has_so_many_connections_and_others_have_their_own(connect):
    here = [connect() for _ in range(MOST)]
    time.sleep(0.2)
    late = connect()
    assert late.recv(4096).startswith(b"HTTP/1.1 503")
    assert ended(late)
    assert asked(connect("127.0.0.2")).startswith(b"HTTP/1.1 200")
    here[0].close()
    time.sleep(0.2)
    assert asked(connect()).startswith(b"HTTP/1.1 200")
