"""Controls by OSC over UDP, from this machine alone: as much of the format as it takes, and nothing that can grow."""

from __future__ import annotations

import socket
import struct
import threading
from math import isfinite
from typing import Any

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import ConfigError
from sidestream.live.desk import Desk

ADDRESSES = {
    f"/sidestream/{name}": name for name in ("prompt", "strength", "stability", "steps", "seed")
}
WHOLE = ("steps", "seed")
BUNDLE = b"#bundle\0"
HOST = "127.0.0.1"
LOOK = 0.2


class OscError(ValueError):
    """A packet that is none, or asks for what there is not."""


def parse(packet: bytes, limits: ShowLimits = SHOW_LIMITS) -> dict[str, Any]:
    """The controls that a message, or a bundle of messages, sets."""
    if len(packet) > limits.osc_bytes:
        raise OscError(f"a packet has at most {limits.osc_bytes} bytes")
    if not packet.startswith(BUNDLE):
        return _message(packet)
    found: dict[str, Any] = {}
    rest = packet[16:]  # behind the name and a time, which is not waited for
    if not rest:
        raise OscError("a bundle holds nothing")
    while rest:
        if len(rest) < 4:
            raise OscError("a bundle ends early")
        (size,) = struct.unpack(">I", rest[:4])
        if size % 4 or not 0 < size <= len(rest) - 4 or rest[4 : 4 + size].startswith(BUNDLE):
            raise OscError("a bundle holds what is no message")
        found |= _message(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return found


def _message(data: bytes) -> dict[str, Any]:
    address, data = _text(data)
    kinds, data = _text(data)
    name = ADDRESSES.get(address)
    if name is None or len(kinds) != 2 or kinds[0] != ",":
        raise OscError("unknown address, or not one value")
    return {name: _value(name, kinds[1], data)}


def _value(name: str, kind: str, data: bytes) -> str | int | float:
    if kind == "s" and name == "prompt":
        text, rest = _text(data)
        if rest:
            raise OscError("more than one value")
        return text
    form = {"i": ">i", "h": ">q", "f": ">f", "d": ">d"}.get(kind)
    if form is None or name == "prompt" or len(data) != struct.calcsize(form):
        raise OscError("a value of another kind")
    (number,) = struct.unpack(form, data)
    if not isfinite(number):
        raise OscError("no number")
    if name in WHOLE:
        if number != int(number):
            raise OscError("no whole number")
        return int(number)
    return float(number)


def _text(data: bytes) -> tuple[str, bytes]:
    """A text, which ends with a NUL and is filled to a multiple of four; and what follows it."""
    end = data.find(b"\0")
    if end < 0:
        raise OscError("a text does not end")
    size = end // 4 * 4 + 4
    if len(data) < size or any(data[end:size]):
        raise OscError("a text is not filled up")
    try:
        return data[:end].decode(), data[size:]
    except UnicodeDecodeError:
        raise OscError("a text is not UTF-8") from None


class OscPort:
    """Owns a UDP socket of this machine and the thread that reads it. What is malformed is counted."""

    def __init__(self, desk: Desk, port: int, limits: ShowLimits = SHOW_LIMITS) -> None:
        self._desk, self._limits = desk, limits
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            raise ConfigError(
                f"--osc {port} cannot be listened on ({error.strerror}): give another port"
            ) from None
        self._socket.settimeout(LOOK)
        self.port: int = self._socket.getsockname()[1]
        self.received = self.malformed = 0
        self._open = True
        self._thread = threading.Thread(target=self._listen, name="osc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._open:
            try:
                packet = self._socket.recv(self._limits.osc_bytes + 1)
            except TimeoutError:
                continue
            except OSError:  # said of an earlier answer that nobody wanted
                continue
            self.received += 1
            try:
                self._desk.ask(**parse(packet, self._limits))
            except OscError:
                self.malformed += 1
