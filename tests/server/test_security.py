"""Who is let in. Every rule is exceeded by one."""

import asyncio
import json

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from server.conftest import BASE, Clock
from server.fakes import FakeStudio
from sidestream.config_live import ServerConfig, ServerLimits
from sidestream.errors import ConfigError
from sidestream.server.app import build
from sidestream.server.logins import caller_of
from sidestream.server.refusal import Refusal
from sidestream.server.security import (
    HEADERS,
    PUBLIC,
    Guard,
    Policy,
    is_loopback,
    read_body,
    settled,
)
from sidestream.server.sessions import Sessions

TOKEN = "canary-0123456789abcdef"
ELSEWHERE = ServerConfig(host="0.0.0.0", token=TOKEN)
BEARER = {"authorization": f"Bearer {TOKEN}"}


def refusal(
    policy: Policy, path: str = "/stats", address: str = "10.0.0.9", **headers: str
) -> Refusal | None:
    try:
        policy.check(path, {"host": "127.0.0.1:8000", **headers}, address)
    except Refusal as found:
        return found
    return None


def client(config: ServerConfig, limits: ServerLimits = ServerLimits()) -> TestClient:
    sessions = Sessions(FakeStudio(), config, BASE)
    app = build(sessions, config, "fake")
    return TestClient(Guard(app, Policy(config, limits)), base_url="http://127.0.0.1:8000")


def routes():
    app = build(Sessions(FakeStudio(), ELSEWHERE, BASE), ELSEWHERE, "fake")
    document = app.openapi()
    named = [(method.upper(), path) for path, one in document["paths"].items() for method in one]
    return [
        *named,
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/static/app.js"),
        ("GET", "/nothing"),
        ("POST", "/"),
        ("GET", "/static/../config.py"),
    ]


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_asks_for_the_token_except_the_page_and_the_health_checks(method, path):
    path = path.replace("{session}", "one").replace("{name}", "one").replace("{viewer}", "one")
    answer = client(ELSEWHERE).request(method, path, content=b"{")
    if PUBLIC.fullmatch(path):
        assert answer.status_code != 401
    else:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_only_these_are_public():
    public = {path for _, path in routes() if PUBLIC.fullmatch(path)}
    assert public == {"/", "/docs", "/healthz", "/readyz", "/static/app.js"}


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_a_wrong_token_is_refused(given):
    found = refusal(Policy(ELSEWHERE), authorization=given)
    assert found is not None and found.status == 401


def test_the_right_token_is_taken():
    answer = client(ELSEWHERE).get("/stats", headers=BEARER)
    assert answer.status_code == 200


def statuses(policy: Policy, count: int, **more: str) -> list[int]:
    found = [refusal(policy, **more) for _ in range(count)]
    return [one.status if one else 200 for one in found]


WRONG = {"authorization": "Bearer wrong"}


def test_guessing_locks_an_address_out_for_a_while_but_never_the_right_token(clock: Clock):
    policy = Policy(ELSEWHERE, ServerLimits(failed_logins=3, lockout_seconds=60), clock)
    assert statuses(policy, 5, **WRONG) == [401, 401, 401, 429, 429]
    assert statuses(policy, 1, address="10.0.0.10", **WRONG) == [401]
    clock.now += 61
    assert statuses(policy, 4, **WRONG) == [401, 401, 401, 429]
    assert statuses(policy, 1, **BEARER) == [200]
    assert statuses(policy, 4, **WRONG) == [401, 401, 401, 429]


def test_guesses_from_everywhere_are_bounded_together_and_hold_up_no_one_who_is_known(clock: Clock):
    policy = Policy(ELSEWHERE, ServerLimits(wrong_tokens_per_second=5), clock)
    assert statuses(policy, 1, address="10.1.0.1", **BEARER) == [200]
    found = [refusal(policy, address=f"10.0.0.{n}", **WRONG) for n in range(11)]
    assert [one.status if one else 200 for one in found] == [401] * 10 + [429]
    assert statuses(policy, 1, address="10.2.0.1", **BEARER) == [429]
    assert statuses(policy, 1, address="10.1.0.1", **BEARER) == [200]
    clock.now += 1
    assert statuses(policy, 1, address="10.2.0.1", **BEARER) == [200]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::5", "2001:db8:1:3::5", False),
        ("::ffff:10.0.0.9", "10.0.0.9", True),
        ("10.0.0.9", "10.0.0.10", False),
        ("nobody", "nobody", True),
    ],
)
def test_who_owns_an_address_is_one_caller(first, second, same):
    assert (caller_of(first) == caller_of(second)) == same
    assert caller_of("::1") == "::1"


def test_an_address_that_others_reach_is_refused_without_a_token():
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(ConfigError, match="SIDESTREAM_TOKEN"):
            settled(ServerConfig(host=host))
    assert settled(ServerConfig(allow_host=("localhost", "127.0.0.1"))).token is None
    with pytest.raises(ConfigError, match=r"--allow-host studio\.example lets others in"):
        settled(ServerConfig(allow_host=("localhost", "studio.example")))
    assert settled(ServerConfig(allow_host=("studio.example",), token=TOKEN)).token == TOKEN
    assert settled(ServerConfig()).token is None
    made = settled(ServerConfig(host="0.0.0.0", token="random")).token
    assert made is not None and len(made) >= 32


def test_a_short_token_is_refused_and_none_is_ever_shown():
    with pytest.raises(ConfigError, match="16 characters"):
        ServerConfig(token="x" * 15)
    assert TOKEN not in repr(ELSEWHERE)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_is_known_by_its_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("LOCALHOST:1", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("192.168.1.5:8000", False),
        ("", False),
        ("a/?x=", False),
        ("localhost@evil.example", False),
        ("localhost:8000:9", False),
    ],
)
def test_on_this_machine_only_its_own_names_are_answered(host, taken):
    found = refusal(Policy(ServerConfig()), host=host)
    assert (found is None) == taken
    assert found is None or found.status == 421


def test_elsewhere_numbers_and_configured_names_are_answered():
    policy = Policy(ServerConfig(host="0.0.0.0", token=TOKEN, allow_host=("studio.example",)))
    assert refusal(policy, host="192.168.1.5:8000", **BEARER) is None
    assert refusal(policy, host="Studio.example:8000", **BEARER) is None
    assert refusal(policy, host="evil.example", **BEARER).status == 421  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("http://127.0.0.1:8000", True),
        ("https://127.0.0.1:8000", True),
        ("http://127.0.0.1:9000", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("http://127.0.0.1:8000.evil.example", False),
    ],
)
def test_pages_of_other_sites_are_refused(origin, taken):
    found = refusal(Policy(ServerConfig()), origin=origin)
    assert (found is None) == taken
    assert found is None or found.status == 403


def test_calls_are_bounded_for_each_address(clock: Clock):
    policy = Policy(ServerConfig(), ServerLimits(calls_per_second=5), clock)
    found = [refusal(policy) for _ in range(11)]
    assert found[:10] == [None] * 10
    assert found[10] is not None and found[10].status == 429
    assert refusal(policy, address="10.0.0.10") is None
    clock.now += 1
    assert [refusal(policy) for _ in range(5)] == [None] * 5


@pytest.mark.parametrize(
    "foreign",
    [
        {"origin": "http://evil.example"},
        {"host": "evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_a_page_of_another_site_cannot_use_up_the_calls_of_ours(clock: Clock, foreign):
    policy = Policy(ServerConfig(), ServerLimits(calls_per_second=5), clock)
    assert {*statuses(policy, 10, **foreign)} <= {403, 421}
    assert statuses(policy, 1, **foreign) == [429]
    assert statuses(policy, 10) == [200] * 10


def test_who_has_no_token_cannot_use_up_the_calls_of_those_who_have_it(clock: Clock):
    policy = Policy(ELSEWHERE, ServerLimits(calls_per_second=5), clock)
    assert statuses(policy, 11) == [401] * 10 + [429]
    assert statuses(policy, 11, **BEARER) == [200] * 10 + [429]


def test_the_page_is_opened_from_wherever_one_likes():
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    policy = Policy(ServerConfig())
    assert refusal(policy, "/", **link, **{"sec-fetch-dest": "document"}) is None
    assert refusal(policy, "/", **{"sec-fetch-site": "none"}) is None
    assert refusal(policy, "/static/app.js", **{"sec-fetch-site": "same-origin"}) is None


def test_addresses_that_are_remembered_are_bounded(clock: Clock):
    policy = Policy(ServerConfig(), ServerLimits(addresses=10), clock)
    for n in range(50):
        refusal(policy, address=f"10.0.0.{n}")
    assert len(policy.rates.table) == 10


def test_a_body_that_is_too_long_is_refused_however_it_comes():
    with client(ServerConfig()) as caller:
        most = ServerLimits().body_bytes
        prompt = json.dumps({"prompt": "x" * 1_000_000})
        assert caller.patch("/sessions/one/controls", content=prompt).status_code == 413
        assert caller.post("/offer", content=b"x" * (most + 1)).status_code == 413
        assert caller.post("/offer", content=b"x" * most).status_code == 422
        pieces = (b"x" * 1000 for _ in range(most // 1000 + 1))
        assert caller.post("/offer", content=pieces).status_code == 413
        for lie in ("-1", "1e9", "9" * 30):
            assert (
                caller.post("/offer", content=b"", headers={"content-length": lie}).status_code
                == 413
            )


def test_a_body_that_drips_is_refused():
    async def never():
        await asyncio.Event().wait()
        return {}

    with pytest.raises(Refusal) as caught:
        asyncio.run(read_body(never, ServerLimits(body_seconds=1)))
    assert caught.value.status == 408


def test_every_answer_carries_the_headers():
    caller = client(ServerConfig())
    for path in ("/", "/static/app.js", "/healthz", "/nothing", "/docs"):
        answer = caller.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    refused = caller.get("/", headers={"host": "evil.example"})
    assert refused.headers["content-security-policy"] == HEADERS["content-security-policy"]
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_no_secret_is_told():
    config = ServerConfig(host="0.0.0.0", token=TOKEN, turn="turn:turn.example.org", turn_user="me")
    sessions = Sessions(FakeStudio(), config, BASE)
    caller = TestClient(
        Guard(build(sessions, config, "fake", "turn-canary"), Policy(config)),
        base_url="http://127.0.0.1",
    )
    for path in (
        "/",
        "/healthz",
        "/readyz",
        "/stats",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/nothing",
    ):
        answer = caller.get(path, headers=BEARER)
        assert TOKEN not in answer.text and "turn-canary" not in answer.text
    assert caller.get("/config").status_code == 401
    servers = caller.get("/config", headers=BEARER).json()["ice_servers"]
    assert servers == [
        {"urls": "turn:turn.example.org", "username": "me", "credential": "turn-canary"}
    ]


def test_websockets_are_not_served():
    with (
        pytest.raises(WebSocketDisconnect) as caught,
        client(ServerConfig()).websocket_connect("/"),
    ):
        pass
    assert caught.value.code == 1008


@pytest.mark.parametrize("name", list(vars(ServerLimits())))
def test_no_limit_can_be_switched_off(name):
    with pytest.raises(ConfigError, match=name):
        ServerLimits(**{name: 0})
