"""Pictures and sound of containers as they happen, from real servers on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from peers import flat, free_port, http, rtsp, serving, transport
from sidestream.config import Limits
from sidestream.config_live import ShowLimits
from sidestream.errors import SourceError
from sidestream.media.address import source_address
from sidestream.media.capture import SOUND_RATE, Capture, Sound
from sidestream.media.network import ContainerCapture, open_container_live
from sidestream.media.open import open_live
from sidestream.types import Frame

QUICK = ShowLimits(open_timeout=2.0, stall=0.5)


def collected(capture: Capture, frames: int) -> tuple[list[Frame], list[Sound]]:
    pictures, sounds = [], []
    with suppress(SourceError):  # of a stream that is cut off, the end is as good as a break
        for moment in capture:
            (sounds if isinstance(moment, Sound) else pictures).append(moment)
            if len(pictures) == frames:
                break
    return pictures, sounds


@pytest.mark.parametrize(("scheme", "talk"), [("http", http), ("rtsp", rtsp)])
def test_pictures_of_a_server(scheme: str, talk: Callable):
    with serving(talk(transport(flat(90, 100)), 4.0)) as server:
        address = source_address(f"{scheme}://127.0.0.1:{server.port}/cam")
        with closing(open_container_live(address)) as capture:
            frames, _ = collected(capture, 60)
    assert frames[0].pixels.shape == (64, 96, 3)
    assert abs(float(frames[20].pixels[20:].mean()) - 90) < 3
    steps = np.diff([frame.seconds for frame in frames])
    assert (steps > 0).all()
    assert np.median(steps[-20:]) == pytest.approx(0.04, abs=0.01)  # behind what had piled up


def test_sound_comes_along_as_stereo_at_one_rate():
    with serving(http(transport(flat(90, 50), sound=True), 2.0)) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/")
        with closing(open_container_live(address)) as capture:
            assert capture.has_sound
            frames, sounds = collected(capture, 30)
    assert all(sound.samples.shape[0] == 2 for sound in sounds)
    heard = sum(sound.samples.shape[1] for sound in sounds) / SOUND_RATE
    assert heard == pytest.approx(30 / 25, abs=0.4)
    assert max(np.abs(sound.samples).max() for sound in sounds) > 0.3
    assert abs(sounds[-1].stamp - frames[-1].seconds) < 0.5


def test_a_stream_that_ends_is_an_end_and_a_killed_one_too():
    with serving(http(transport(flat(90, 10)), 0.2, ends=True)) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/")
        with closing(open_container_live(address)) as capture:
            frames, _ = collected(capture, 100)
    assert len(frames) == 10


def test_a_server_that_falls_silent_breaks_off_in_time():
    with serving(http(transport(flat(90, 50)), 2.0)) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/")
        with closing(open_container_live(address, limits=QUICK)) as capture:
            moments = iter(capture)
            next(moments)
            server.stalled.set()
            begun = time.monotonic()
            with pytest.raises(SourceError, match=r"^http://127.0.0.1:\d+ broke off"):
                list(moments)
    assert time.monotonic() - begun < 10


def test_pictures_may_change_their_size_and_times_may_go_back():
    """As a browser or camera does that runs out of bandwidth."""
    small = transport(flat(60, 12, (64, 48)))
    with serving(http(transport(flat(90, 12)) + small, 1.0)) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/")
        with closing(open_container_live(address)) as capture:
            frames, _ = collected(capture, 24)
    assert {frame.pixels.shape for frame in frames} == {(64, 96, 3), (48, 64, 3)}
    assert (np.diff([frame.pts for frame in frames]) > 0).all()


def test_damage_costs_no_more_than_itself():
    data = bytearray(transport(flat(90, 50)))
    for place in range(20 * 188 + 60, len(data) - 188, 188 * 9):
        data[place : place + 40] = bytes(40)
    with serving(http(bytes(data), 1.0, ends=True)) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/")
        with closing(open_container_live(address)) as capture:
            frames, _ = collected(capture, 100)
    assert 10 < len(frames) <= 50


def test_pictures_outside_of_the_limits_are_refused(tmp_path: Path, make):
    path = make.video(pictures=3)
    for limits in (Limits(max_source_pixels=96 * 96), Limits(min_source_pixels=100)):
        container = open_live(source_address(str(path)), QUICK)
        with pytest.raises(SourceError, match="pixels"):
            list(ContainerCapture(container, "a clip", limits=limits))
        container.close()


def test_a_file_goes_at_its_own_pace_on_any_clock(make):
    path = make.video(pictures=24, sound="aac", sound_seconds=1.0)
    clock, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    container = open_live(source_address(str(path)), QUICK)
    capture = ContainerCapture(container, "a clip", paced=True, clock=lambda: clock[0], sleep=sleep)
    with closing(capture):
        frames, sounds = collected(capture, 24)
    assert [frame.seconds for frame in frames] == pytest.approx(
        [100 + n / 24 for n in range(24)], abs=1e-3
    )
    assert sum(slept) == pytest.approx(23 / 24)
    assert sounds[0].stamp == pytest.approx(100, abs=0.1)


def test_a_file_that_was_held_up_does_not_hurry(make):
    path, clock = make.video(pictures=24), [100.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    container = open_live(source_address(str(path)), QUICK)
    capture = ContainerCapture(container, "a clip", paced=True, clock=lambda: clock[0], sleep=sleep)
    frames = []
    for moment in capture:
        frames.append(moment)
        if len(frames) == 10:
            clock[0] += 60  # the machine slept
    capture.close()
    steps = np.diff([frame.seconds for frame in frames])
    assert steps[9] == pytest.approx(60, abs=0.1)
    assert np.allclose(np.delete(steps, 9), 1 / 24, atol=1e-3)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("rtsp://me:hunter2@127.0.0.1:{port}/x", "rtsp://127.0.0.1:{port}/... refuses connections"),
        ("rtmp://127.0.0.1:{port}/live/hunter2", "rtmp://127.0.0.1:{port}/... refuses connections"),
        ("http://127.0.0.1:{port}/?t=hunter2", "http://127.0.0.1:{port} refuses connections"),
        (
            "srt://127.0.0.1:{port}?passphrase=hunter2",
            "this build of FFmpeg has no srt: send it as",
        ),
        ("rtsp://no-such-host.invalid/hunter2", "cannot be opened (Input/output error)"),
        ("absent.mp4", "there is no file absent.mp4"),
    ],
)
def test_what_cannot_be_opened(address: str, sentence: str):
    port = free_port()
    with pytest.raises(SourceError) as refused:
        open_live(source_address(address.format(port=port)), QUICK)
    assert sentence.format(port=port) in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_server_that_never_answers():
    def mute(server, client):
        while server.alive:
            time.sleep(0.01)

    with serving(mute) as server:
        begun = time.monotonic()
        with pytest.raises(SourceError, match="did not answer within 1 s"):
            open_live(
                source_address(f"http://127.0.0.1:{server.port}/x"), ShowLimits(open_timeout=1.0)
            )
        assert time.monotonic() - begun < 10


def test_a_page_is_no_video_and_a_list_cannot_name_files(tmp_path: Path, make):
    secret = make.video(pictures=3)
    lists = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    for body in ("<html>hello</html>", lists):

        def talk(server, client, body=body):
            client.recv(4096)
            client.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        with serving(talk) as server, pytest.raises(SourceError):
            address = source_address(f"http://127.0.0.1:{server.port}/list.m3u8")
            with closing(open_container_live(address, limits=QUICK)) as capture:
                assert collected(capture, 1)[0] == []


ELSEWHERE = "http://127.0.0.1:{port}/secret.ts"
LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n"
IS_LIST = "200 OK\r\nContent-Type: application/vnd.apple.mpegurl"
KEY = LIST.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{place}"\n#EXTINF')


@pytest.mark.parametrize(
    ("head", "body", "sentence"),
    [
        (f"302 Found\r\nLocation: {ELSEWHERE}", "", "give the address that it leads to"),
        (IS_LIST, LIST.format(place=ELSEWHERE), "cannot be opened"),
        (IS_LIST, KEY.format(place=ELSEWHERE), "cannot be opened"),
    ],
)
def test_what_is_fetched_sends_nobody_elsewhere(head: str, body: str, sentence: str):
    fetched: list[bytes] = []

    def other(server, client):
        fetched.append(client.recv(4096))

    def talk(server, client):
        client.recv(4096)
        said = body.replace("{port}", str(private.port))
        where = head.replace("{port}", str(private.port))
        client.sendall(f"HTTP/1.0 {where}\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())

    with serving(other) as private, serving(talk) as server:
        with pytest.raises(SourceError, match=sentence):
            open_live(source_address(f"http://127.0.0.1:{server.port}/cam"), QUICK)
        assert fetched == []


def test_a_list_is_followed_where_one_was_asked_for(make):
    data = transport(flat(90, 50))

    def talk(server, client):
        asked = client.recv(4096)
        body = LIST.format(place="part.ts").encode() if b".m3u8" in asked else data
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serving(talk) as server:
        address = source_address(f"http://127.0.0.1:{server.port}/list.m3u8?key=x")
        with closing(open_container_live(address)) as capture:
            assert len(collected(capture, 5)[0]) == 5


def test_the_screen_where_there_is_none(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":77")
    with pytest.raises(
        SourceError, match=r"^screen cannot be opened \(.+\): is there a screen here\?"
    ):
        open_live(source_address("screen"), QUICK)
    monkeypatch.setattr("sys.platform", "plan9")
    with pytest.raises(SourceError, match="this build of FFmpeg cannot capture the screen"):
        open_live(source_address("screen"), QUICK)
