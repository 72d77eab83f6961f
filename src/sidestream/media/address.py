"""What a live source or sink is called on the command line, and how it may be named in messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from sidestream.config import Size
from sidestream.errors import ConfigError

Kind = Literal[
    "file", "camera", "screen", "pattern", "network", "push", "page", "virtualcam", "ndi", "nothing"
]

SOURCE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt")
PUSH_SCHEMES = ("rtmp", "rtmps", "rtsp", "rtsps")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SOURCES = (
    "a file, camera, camera:N, screen, pattern, pattern:WxH or a URL (rtsp, rtmp, http, https, srt)"
)
SINKS = "a file (.mp4, .mov or .mkv), page, page:PORT, a URL (rtmp or rtsp), virtualcam, ndi, ndi:NAME or none"
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
PATTERN = Size(640, 360)


@dataclass(frozen=True)
class Address:
    """Where live video comes from or goes to. As text it shows no secret."""

    kind: Kind
    value: str = ""

    def __str__(self) -> str:
        if self.kind in ("network", "push"):
            return redacted(self.value)
        if self.kind == "file":
            return self.value
        return f"{self.kind}:{self.value}" if self.value else self.kind

    def __repr__(self) -> str:
        return f"Address({self.kind}, {self})"


def source_address(text: str) -> Address:
    """Decides what a source's name means; the name of a file that exists always wins over nothing else."""
    word, _, rest = text.partition(":")
    if word in ("camera", "screen"):
        return Address(word, rest)
    if word == "pattern":
        size = Size.parse(rest) if rest else PATTERN
        if not (16 <= size.width <= 4096 and 16 <= size.height <= 4096):
            raise ConfigError(f"a pattern has sides from 16 to 4096 pixels, got {size}")
        return Address("pattern", str(size))
    if "://" in text:
        return Address("network", _checked(text, SOURCE_SCHEMES, "source", SOURCES))
    _refuse_scheme(text, "source", SOURCES)
    return Address("file", text)


def sink_address(text: str) -> Address:
    word, _, rest = text.partition(":")
    if text == "none":
        return Address("nothing")
    if word == "page":
        return Address("page", str(port(rest or "8080")))
    if word in ("virtualcam", "ndi"):
        return Address(word, rest)
    if "://" in text:
        return Address("push", _checked(text, PUSH_SCHEMES, "sink", SINKS))
    _refuse_scheme(text, "sink", SINKS)
    return Address("file", text)


def redacted(url: str) -> str:
    """Scheme, host and port: what comes before them is a password, what comes after may be a stream's key."""
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    where = host if parts.port is None else f"{host}:{parts.port}"
    return f"{parts.scheme}://{where}/..." if len(parts.path) > 1 else f"{parts.scheme}://{where}"


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise ConfigError(f"a port is a number from 1 to 65535, got {text[:20]!r}")
    return int(text)


def _checked(url: str, schemes: tuple[str, ...], what: str, known: str) -> str:
    scheme = url.partition(":")[0].lower()
    if scheme not in schemes:
        raise ConfigError(f"a live {what} cannot be of the kind {scheme}://: give {known}")
    if not _split(url).hostname or not url.isprintable() or " " in url:
        raise ConfigError(
            f"the {what} {scheme}:// names no host: give a URL like {scheme}://HOST/NAME"
        )
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        scheme = url.partition(":")[0]
        raise ConfigError(
            f"the address {scheme}:// is no URL: give one like {scheme}://HOST:PORT/NAME"
        ) from None
    return parts


def _refuse_scheme(text: str, what: str, known: str) -> None:
    """`concat:x`, `rtmp:x` and the like are neither a URL nor the name of a file that anybody has."""
    found = _SCHEME.match(text)
    if found and not text.startswith(("/", ".")):
        raise ConfigError(
            f"the {what} {found[0]} is not known: give {known}, and a file with such a name as ./{found[0]}..."
        )
