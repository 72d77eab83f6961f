"""The routes, without a connection: health, figures, refusals, the page's own files, and the OpenAPI document."""

import time
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import settings
from starlette.testclient import TestClient

from server.conftest import BASE
from server.fakes import FakeStudio
from sidestream.config_live import ServerConfig, ServerLimits
from sidestream.live.studio import State
from sidestream.server.app import build
from sidestream.server.security import Guard, Policy
from sidestream.server.sessions import Sessions

CONFIG = ServerConfig(stun="stun:stun.example.org:3478")
LOCAL = "http://127.0.0.1:8000"


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def sessions(studio: FakeStudio) -> Sessions:
    return Sessions(studio, CONFIG, BASE, limits=ServerLimits(drain_seconds=0.01))


@pytest.fixture
def client(sessions: Sessions) -> Iterator[TestClient]:
    with TestClient(
        Guard(build(sessions, CONFIG, "fake"), Policy(CONFIG)), base_url=LOCAL
    ) as client:
        yield client


@pytest.fixture
def session(sessions: Sessions) -> str:
    return sessions.open(None).id


@pytest.mark.parametrize(
    ("health", "alive", "ready"),
    [
        ("starting", 200, 503),
        ("ok", 200, 200),
        ("degraded", 200, 200),
        ("draining", 200, 503),
        ("failed", 500, 503),
    ],
)
def test_health_says_what_a_balancer_needs(client, studio, health, alive, ready):
    studio.state = State(health)
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [alive, ready]


def test_why_the_model_does_not_run_is_for_the_log_alone(client, studio, session, capfd):
    studio.state = State("failed", "Restyling has stopped.", "/home/canary has no weights")
    seen = [client.get(path).text for path in ("/stats", "/healthz", f"/sessions/{session}")]
    assert not any("canary" in text for text in seen)
    wait = time.monotonic() + 10
    said = ""
    while "/home/canary has no weights" not in said and time.monotonic() < wait:
        said += capfd.readouterr().err
        time.sleep(0.02)
    assert said.count("canary") == 1


def test_figures_are_there_for_people_and_for_prometheus(client, session):
    figures = client.get("/stats").json()["figures"]
    assert (figures["sessions"], figures["seats"], figures["studio_restarts"]) == (1, 8, 0)
    exposed = client.get("/metrics")
    assert exposed.headers["content-type"].startswith("text/plain")
    lines = exposed.text.splitlines()
    assert "sidestream_sessions 1.0" in lines
    assert "sidestream_sessions_opened_total 1.0" in lines
    assert 'sidestream_health{state="ok"} 1.0' in lines


def test_a_session_is_read_and_changed(client, session):
    place = f"/sessions/{session}"
    assert client.get(place).json()["controls"]["prompt"] == "invert the colors"
    changed = client.patch(f"{place}/controls", json={"prompt": "  red  sky ", "steps": 4})
    assert (changed.json()["prompt"], changed.json()["steps"], changed.json()["strength"]) == (
        "red sky",
        4,
        1.0,
    )
    assert client.get(f"{place}/controls").json() == changed.json()
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        '{"strength": NaN}',
        '{"strength": 1.01}',
        '{"strength": "canary"}',
        '{"steps": 0}',
        '{"prompt": "canary", "fade": 61}',
        '{"prompt": "canary", "fade": -1}',
        '{"fade": 1}',
        '{"steps": 9}',
        '{"seed": -1}',
        '{"seed": true}',
        '{"canary": 1}',
        '["canary"]',
        "canary",
        '{"prompt": 7}',
        "[" * 400,
        '{"prompt": []}',
        '{"prompt": [{"text": "canary", "weight": -1}]}',
        '{"seed": 1e400}',
        '{"prompt": "\\ud800"}',
        '{"prompt": "canary' + "x" * 400 + '"}',
        "\xff",
    ],
)
def test_what_is_not_valid_is_refused_and_never_repeated(client, session, body):
    answer = client.patch(
        f"/sessions/{session}/controls",
        content=body.encode("latin-1"),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error", "message"}
    assert "canary" not in answer.text


def test_another_session_cannot_be_told_from_none(client):
    for path in ("/sessions/someone", "/sessions/someone/controls"):
        assert client.get(path).json()["error"] == "session"
    assert client.get("/sessions/no%2Fsuch").status_code == 404
    assert client.get("/sessions/a.b").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fconfig.py",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/nothing.js",
        "/static/",
        "/../pyproject.toml",
        "/static/app.js%00.html",
        "/file:///etc/passwd",
    ],
)
def test_no_path_reaches_the_file_system(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, "route")


def test_the_page_brings_all_that_it_needs(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name, kind in (
        ("app.js", "javascript"),
        ("style.css", "css"),
        ("icon.svg", "svg"),
        ("docs.js", "javascript"),
    ):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
        outside = answer.text.replace("http://www.w3.org/", "")
        assert "http://" not in outside and "//cdn" not in outside
    assert client.get("/docs").status_code == 200


def test_what_cannot_be_done_is_said(client):
    answer = client.put("/offer")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {"error": "route", "message": "This cannot be done here."}


def test_the_page_is_told_how_to_reach_us(client):
    settings = client.get("/config").json()
    assert settings["ice_servers"] == [{"urls": "stun:stun.example.org:3478"}]
    assert (settings["model"], settings["max_steps"]) == ("fake", 8)


OPEN = Sessions(FakeStudio(), CONFIG, BASE)
APP = build(OPEN, CONFIG, "fake")
FAST = ServerLimits(calls_per_second=1e6)
CALLER = TestClient(Guard(APP, Policy(CONFIG, FAST)), base_url=LOCAL, raise_server_exceptions=False)
schema = schemathesis.openapi.from_dict(APP.openapi())


@schemathesis.serializer("application/sdp")
def as_text(context, value):
    return str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/trickle-ice-sdpfrag")
def as_fragment(context, value):
    return str(value).encode("utf-8", "replace")


@schema.parametrize()
@settings(max_examples=25)
def test_nothing_that_the_document_allows_breaks_the_server(case):
    if len(OPEN) == 0:
        OPEN.open(None, name="open")
    if "session" in case.path_parameters and case.body != "elsewhere":
        case.path_parameters["session"] = "open"
    asked = case.as_transport_kwargs(base_url=LOCAL)
    asked.pop("cookies", None)
    if "data" in asked:
        asked["content"] = asked.pop("data")
    assert CALLER.request(**asked).status_code != 500
