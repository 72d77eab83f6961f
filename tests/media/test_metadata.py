"""Settings that are stored with a file come from anyone."""

from __future__ import annotations

import av
import pytest

from sidestream.config import LIMITS
from sidestream.errors import SourceError
from sidestream.media.metadata import read_metadata, write_settings

HOSTILE = {
    "deep": '{"a":' * 100_000,
    "deep and closed": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "no JSON": "{nothing",
    "a large number": '{"a": ' + "9" * 10_000 + "}",
    "no text": '{"seed": 1}',
    "huge": '{"a": "' + "x" * LIMITS.max_sidecar_bytes + '"}',
}


def refused(path) -> str:
    with pytest.raises(SourceError, match="settings") as caught:
        read_metadata(path)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_settings_beside_a_picture(tmp_path, text):
    (tmp_path / "a.gif.json").write_text(text)
    assert "a.gif.json" in refused(tmp_path / "a.gif")


@pytest.mark.parametrize("text", [b"\xff\xfe{}", b"[]", b'"text"', b"", b"[" * 100_000])
def test_other_bytes_beside_a_picture(tmp_path, text):
    (tmp_path / "settings.json").write_bytes(text)
    refused(tmp_path)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_settings_inside_a_movie(tmp_path, text):
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        output.metadata["comment"] = text
        output.mux(output.add_stream("ffv1", width=64, height=64).encode(av.VideoFrame(64, 64)))
    refused(tmp_path / "a.mkv")


def test_settings_are_never_written_through_a_link(tmp_path):
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "settings.json").symlink_to(tmp_path / "letter")
    with pytest.raises(OSError, match=r"settings\.json"):
        write_settings(tmp_path / "settings.json", {"a": "b"})
    assert (tmp_path / "letter").read_text() == "dear"


def test_a_picture_whose_settings_could_have_no_name(tmp_path):
    with pytest.raises(SourceError, match="too long"):
        read_metadata(tmp_path / ("x" * 251 + ".png"))
