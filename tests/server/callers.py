"""A caller without a browser: aiortc on the other end of the real routes, on the same event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import aiortc
import httpx
import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame

from sidestream.server import stamp
from sidestream.server.peer import Connection
from sidestream.server.security import Guard
from sidestream.types import Pixels

BASE = "http://127.0.0.1:8000"


class Camera(MediaStreamTrack):
    """Twenty frames a second of one colour, with the strip that the page would add."""

    kind = "video"

    def __init__(
        self, colour: tuple[int, int, int] = (200, 40, 60), *, stamped: bool = True
    ) -> None:
        super().__init__()
        self.pixels = np.full((96, 128, 3), colour, np.uint8)
        self.stamped = stamped
        self.sent: dict[int, float] = {}
        self.frames = 0
        self.muted = asyncio.Event()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.05)
        if self.muted.is_set():
            await asyncio.Event().wait()
        value = int(time.monotonic() * 1000) % stamp.MODULUS
        self.sent[value] = time.monotonic()
        frame = VideoFrame.from_ndarray(
            stamp.add(self.pixels, value) if self.stamped else self.pixels
        )
        frame.pts, frame.time_base = self.frames * 4500, Fraction(1, 90_000)
        self.frames += 1
        return frame


class Voice(MediaStreamTrack):
    """A tone of 440 Hz, in pieces of 20 ms."""

    kind = "audio"

    def __init__(self, loud: Callable[[float], bool] = lambda seconds: True) -> None:
        """`loud` says when it sounds, by the seconds since it began."""
        super().__init__()
        self.loud = loud
        self.begin = time.monotonic()
        self.pieces = 0

    async def recv(self) -> AudioFrame:
        self.pieces += 1
        await asyncio.sleep(max(0.0, self.begin + self.pieces / 50 - time.monotonic()))
        at = (self.pieces * 960 + np.arange(960)) / 48_000
        level = 12_000 if self.loud(self.pieces / 50) else 0
        wave = (np.sin(2 * np.pi * 440 * at) * level).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        frame.pts = self.pieces * 960
        return frame


class Caller:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.connection = Connection(aiortc.RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("controls")
        self.heard: list[dict[str, Any]] = []
        self.session = ""
        self.track: MediaStreamTrack | None = None
        self.sound: MediaStreamTrack | None = None
        self.pts: list[int] = []
        self.channel.on("message", lambda text: self.heard.append(json.loads(text)))
        self.connection.on("track", self._on_track)

    async def offer(self, camera: Camera | None, direction: str = "sendrecv") -> str:
        if camera is not None:
            self.connection.addTransceiver(camera, direction=direction)
        else:
            self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def call(self, camera: Camera | None = None, **more: Any) -> httpx.Response:
        sdp = await self.offer(camera)
        answer = await self.http.post("/offer", json={"sdp": sdp, "stamped": True, **more})
        if answer.status_code == 200:
            said = answer.json()
            self.session = said["session"]
            await self.take(said["sdp"])
        return answer

    async def take(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))

    async def picture(self) -> Pixels:
        """The next one that comes back, with its strip if there is one."""
        await until(lambda: self.track is not None)
        async with asyncio.timeout(20):
            frame = await self.track.recv()  # type: ignore[union-attr]
        assert isinstance(frame, VideoFrame) and frame.pts is not None
        self.pts.append(frame.pts)
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)

    async def hear(self) -> float:
        """The loudest sample of the next piece that comes back."""
        await until(lambda: self.sound is not None)
        async with asyncio.timeout(20):
            frame = await self.sound.recv()  # type: ignore[union-attr]
        return float(np.abs(frame.to_ndarray().astype(int)).max())

    async def see(self, right: Callable[[Pixels], bool]) -> Pixels:
        async with asyncio.timeout(20):
            while not right(picture := await self.picture()):
                pass
        return picture

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.heard if one["type"] == kind]

    async def close(self) -> None:
        await self.connection.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self.sound = track
        else:
            self.track = track


def http_to(app: Guard, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 5000))
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def mean(pixels: Pixels) -> tuple[float, float, float]:
    """Of the picture above the strip."""
    red, green, blue = pixels[: stamp.picture_rows(pixels.shape[0])].reshape(-1, 3).mean(0)
    return float(red), float(green), float(blue)
