"""Pages of other sites: only those that are listed, and only where they send and watch."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from server.conftest import BASE
from server.fakes import FakeStudio
from sidestream.config_live import ServerConfig
from sidestream.errors import ConfigError
from sidestream.server.app import build
from sidestream.server.security import Guard, Policy
from sidestream.server.sessions import Sessions

TOKEN = "canary-0123456789abcdef"
STUDIO = "https://studio.example"
LISTED = ServerConfig(token=TOKEN, allow_origin=(STUDIO, "http://10.0.0.7:3000"))


def client(config: ServerConfig = LISTED) -> TestClient:
    sessions = Sessions(FakeStudio(), config, BASE)
    guard = Guard(build(sessions, config, "fake"), Policy(config))
    return TestClient(guard, base_url="http://127.0.0.1:8000")


def asked_first(path: str, origin: str = STUDIO, config: ServerConfig = LISTED):
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return client(config).options(path, headers=headers)


@pytest.mark.parametrize(
    "path", ["/whip", "/whip/stage", "/whep/stage", "/sessions/one", "/sessions/one/viewers/two"]
)
def test_a_listed_page_is_told_that_it_may(path):
    answer = asked_first(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == STUDIO
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


def test_it_still_needs_the_token_and_reads_every_answer():
    sdp = {"content-type": "application/sdp", "origin": STUDIO}
    refused = client().post("/whip", content="v=0", headers=sdp)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == STUDIO
    known = {**sdp, "authorization": f"Bearer {TOKEN}"}
    answer = client().post("/whip", content="v=0", headers=known)
    assert (answer.status_code, answer.json()["error"]) == (400, "offer")
    assert "location" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/", "/offer", "/config", "/stats", "/sessions/one/controls"])
def test_a_listed_page_may_do_nothing_else(path):
    answer = asked_first(path)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sessions/one"),
        ("HEAD", "/sessions/one"),
        ("POST", "/sessions/one"),
        ("GET", "/whip"),
        ("DELETE", "/whep/stage"),
    ],
)
def test_a_listed_page_may_not_do_other_things_where_it_sends_and_watches(method, path):
    headers = {"origin": STUDIO, "authorization": f"Bearer {TOKEN}"}
    answer = client().request(method, path, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/sessions/one", "/sessions/one/viewers/two"])
def test_a_listed_page_goes_on_and_ends_by_its_own_address(method, path):
    headers = {"origin": STUDIO, "authorization": f"Bearer {TOKEN}"}
    assert client().request(method, path, headers=headers).status_code in (404, 415)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://studio.example", f"{STUDIO}.evil.example", "null"]
)
def test_others_may_not(origin):
    answer = asked_first("/whip", origin)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_without_a_list_nobody_may():
    assert asked_first("/whip", config=ServerConfig()).status_code == 403
    here = asked_first("/whip", "http://127.0.0.1:8000", ServerConfig())
    assert here.status_code == 405
    assert not any(name.startswith("access-control") for name in here.headers)


@pytest.mark.parametrize("origin", ["*", "studio.example", f"{STUDIO}/page", "null", "https://*"])
def test_a_list_holds_sites_and_no_pattern(origin):
    with pytest.raises(ConfigError, match="allow_origin must be like"):
        ServerConfig(allow_origin=(origin,))
