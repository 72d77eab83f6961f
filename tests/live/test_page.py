"""The page on this machine: MJPEG for browsers and players."""

from __future__ import annotations

import http.client
import socket
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from sidestream.config_live import ShowLimits
from sidestream.errors import SinkError
from sidestream.live.page import PageSink
from sidestream.types import Frame


@pytest.fixture
def page():
    sink = PageSink(0, ShowLimits(viewers=2, viewer_timeout=1.0))
    yield sink
    sink.close()


def frame(number: int, side: int = 64) -> Frame:
    return Frame(
        np.full((side, side, 3), (200, 40, number % 200), np.uint8), number, Fraction(1), number
    )


def get(page: PageSink, path: str, host: str = "") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def next_picture(answer: http.client.HTTPResponse) -> np.ndarray:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += answer.read(1)
    size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    data = np.frombuffer(answer.read(size), np.uint8)
    answer.read(2)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def test_a_viewer_sees_the_newest_picture_in_its_colours(page: PageSink):
    page.show(frame(0))
    answer = get(page, "/stream.mjpg")
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    assert np.allclose(next_picture(answer)[0, 0], (200, 40, 0), atol=12)
    page.show(frame(150))
    assert np.allclose(next_picture(answer)[0, 0], (200, 40, 150), atol=12)
    answer.close()


def test_a_player_reads_the_stream(page: PageSink):
    page.show(frame(0))
    with av.open(
        f"http://127.0.0.1:{page.port}/stream.mjpg", format="mpjpeg", timeout=10
    ) as player:
        packets = player.demux(video=0)
        seen = list(next(packets).decode())
        while not seen:
            page.show(frame(1))
            seen += next(packets).decode()
    assert (seen[0].width, seen[0].height) == (64, 64)


def test_the_page_and_a_still(page: PageSink):
    page.show(frame(9))
    shown = get(page, "/")
    assert shown.status == 200
    assert b"/stream.mjpg" in shown.read()
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert get(page, "/style.css").status == 200
    still = get(page, "/still.jpg")
    assert still.headers["Content-Type"] == "image/jpeg" and still.read()[:2] == b"\xff\xd8"
    assert get(page, "/../../etc/passwd").status == 404
    assert get(page, "/favicon.ico").status == 204


def test_without_a_picture_there_is_no_still(page: PageSink):
    assert get(page, "/still.jpg").status == 503


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]:1"]
)
def test_a_name_that_is_not_this_machine_is_refused(page: PageSink, host: str):
    assert get(page, "/", host).status == 403


def test_a_slow_viewer_loses_pictures_and_nobody_else_does(page: PageSink):
    """The slow one never reads: its buffers fill, and after its time it is left."""
    slow = socket.create_connection(("127.0.0.1", page.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    page.show(frame(0))
    quick = get(page, "/stream.mjpg")
    next_picture(quick)
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    longest = 0.0
    for number in range(60):
        begun = time.monotonic()
        page.show(Frame(noise, number, Fraction(1), number))
        longest = max(longest, time.monotonic() - begun)
        assert next_picture(quick).shape == (512, 512, 3)
    assert longest < 1.0
    slow.close()
    quick.close()


def test_a_viewer_who_takes_nothing_is_left(page: PageSink):
    """After which the place is free again."""
    lazy = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(2)]
    for one in lazy:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    until = time.monotonic() + 30
    number = 0
    while True:
        page.show(Frame(noise, number, Fraction(1), number))
        answer = get(page, "/stream.mjpg")
        if answer.status == 200 and number > 20:
            break
        answer.close()
        number += 1
        assert time.monotonic() < until
        time.sleep(0.02)
    answer.close()
    for one in lazy:
        one.close()


def test_the_number_of_viewers_is_bounded_and_places_come_back(page: PageSink):
    page.show(frame(0))
    viewers = [get(page, "/stream.mjpg") for _ in range(2)]
    refused = get(page, "/stream.mjpg")
    assert refused.status == 503 and b"all places are taken" in refused.read()
    viewers.pop().close()
    until = time.monotonic() + 20
    while (answer := get(page, "/stream.mjpg")).status != 200:
        assert time.monotonic() < until
        page.show(frame(1))
        time.sleep(0.02)
    answer.close()
    viewers[0].close()


def test_a_port_that_is_taken(page: PageSink):
    with pytest.raises(SinkError, match=r"cannot be listened on .*: give another, as page:PORT"):
        PageSink(page.port)


def test_it_listens_on_this_machine_alone(page: PageSink):
    assert page._server.server_address[0] == "127.0.0.1"
