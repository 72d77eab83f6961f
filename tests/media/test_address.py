"""What sources and sinks are called, and that no message shows a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.errors import ConfigError
from sidestream.media.address import Address, port, redacted, sink_address, source_address

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("camera", "camera", ""),
        ("camera:1", "camera", "1"),
        ("camera:/dev/video3", "camera", "/dev/video3"),
        ("screen", "screen", ""),
        ("pattern", "pattern", "640x360"),
        ("pattern:64x48", "pattern", "64x48"),
        ("rtsp://cam/1", "network", "rtsp://cam/1"),
        ("HTTP://host/a.ts", "network", "HTTP://host/a.ts"),
        ("in.mp4", "file", "in.mp4"),
        ("./odd:name.mp4", "file", "./odd:name.mp4"),
        ("/a/b:c.mp4", "file", "/a/b:c.mp4"),
    ],
)
def test_sources(text: str, kind: str, value: str):
    assert source_address(text) == Address(kind, value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("out.mp4", "file", "out.mp4"),
        ("page", "page", "8080"),
        ("page:1", "page", "1"),
        ("rtmp://host/live/key", "push", "rtmp://host/live/key"),
        ("virtualcam", "virtualcam", ""),
        ("ndi", "ndi", ""),
        ("ndi:stage", "ndi", "stage"),
        ("virtualcam:/dev/video2", "virtualcam", "/dev/video2"),
        ("none", "nothing", ""),
    ],
)
def test_sinks(text: str, kind: str, value: str):
    assert sink_address(text) == Address(kind, value)


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (source_address, "gopher://x/y", "cannot be of the kind gopher://: give a file, camera"),
        (source_address, "file:///etc/passwd", "cannot be of the kind file://"),
        (source_address, "concat:a|b", "the source concat: is not known"),
        (source_address, "rtsp://", "names no host"),
        (source_address, "rtsp://a b/c", "names no host"),
        (source_address, "http://[::1/x", "is no URL"),
        (source_address, "http://host:99999/", "is no URL"),
        (source_address, "pattern:1x1", "sides from 16 to 4096 pixels, got 1x1"),
        (source_address, "pattern:5000x50", "sides from 16 to 4096 pixels"),
        (source_address, "pattern:big", "size must look like 512x288"),
        (sink_address, "http://host/x", "cannot be of the kind http://: give a file (.mp4"),
        (sink_address, "srt://host:1", "cannot be of the kind srt://"),
        (sink_address, "rtmp:host", "the sink rtmp: is not known"),
        (sink_address, "page:many", "a port is a number from 1 to 65535, got 'many'"),
        (sink_address, "page:0", "a port is a number from 1 to 65535"),
        (sink_address, "page:65536", "a port is a number from 1 to 65535"),
    ],
)
def test_what_is_neither(read, text: str, sentence: str):
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"rtsp://me:{SECRET}@cam:554/stream", "rtsp://cam:554/..."),
        (f"rtmp://host/live/{SECRET}", "rtmp://host/..."),
        (f"https://host/?token={SECRET}", "https://host"),
        (f"rtsp://me:{SECRET}@[::1]:99/x", "rtsp://[::1]:99/..."),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str):
    address = source_address(url)
    assert redacted(url) == str(address) == shown
    assert SECRET not in repr(address) + str([address])


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str):
    for read in (source_address, sink_address):
        try:
            assert isinstance(read(text), Address)
        except ConfigError as error:
            assert str(error)


@given(st.text(alphabet="abc0123456789/:?@=&%-_.", max_size=40))
def test_what_follows_a_host_is_never_shown(rest: str):
    try:
        address = source_address(f"rtsp://user:{SECRET}@host/{rest}{SECRET}")
    except ConfigError as error:
        assert SECRET not in str(error)
    else:
        assert SECRET not in str(address)


def test_ports():
    assert (port("1"), port("65535")) == (1, 65535)
