"""Foreign ends of live streams, on this machine alone: servers that sources read, servers that sinks push to."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.video.frame import VideoFrame

from sidestream.types import Pixels

RATE = 25
PACKET = 188
"""Bytes of a packet of MPEG-TS."""


def transport(
    pictures: Sequence[Pixels], *, sound: bool = False, loud: Callable[[int], bool] = lambda n: True
) -> bytes:
    """MPEG-TS of pictures of one size, at RATE, with a tone where it is loud."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as output:
        height, width = pictures[0].shape[:2]
        stream = output.add_stream("libx264", rate=RATE, width=width, height=height)
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "12"}
        stream.codec_context.gop_size = 5
        stream.codec_context.time_base = Fraction(1, 90_000)
        heard = output.add_stream("aac", rate=48_000) if sound else None
        for index, pixels in enumerate(pictures):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts = index * 90_000 // RATE
            frame.time_base = Fraction(1, 90_000)
            output.mux(stream.encode(frame))
            if heard is not None:
                count = 48_000 // RATE
                samples = np.arange(index * count, (index + 1) * count)
                wave = 0.5 * loud(index) * np.sin(samples * 440 * 2 * np.pi / 48_000)
                tone = AudioFrame.from_ndarray(
                    np.stack([wave.astype(np.float32)] * 2), format="fltp", layout="stereo"
                )
                tone.sample_rate, tone.pts = 48_000, index * count
                tone.time_base = Fraction(1, 48_000)
                output.mux(heard.encode(tone))
        output.mux(stream.encode())
        if heard is not None:
            output.mux(heard.encode())
    return buffer.getvalue()


def flat(level: int, count: int = 25, size: tuple[int, int] = (96, 64)) -> list[Pixels]:
    """Pictures of one grey, with a bright edge so that none is empty."""
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    picture[:8] = 255
    return [picture] * count


class Server:
    """Listens on a port of this machine and talks to each client in a thread; can be killed and begun again."""

    def __init__(self, talk: Callable[[Server, socket.socket], None], port: int = 0) -> None:
        self._talk = talk
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", port))
        self._listening.listen(8)
        self.port: int = self._listening.getsockname()[1]
        self.alive = True
        self.stalled = threading.Event()
        """Set: it is silent, but there."""
        self.clients = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def kill(self) -> None:
        self.alive = False
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def send(self, client: socket.socket, data: bytes, seconds: float) -> None:
        """Sends at the pace at which it would be played."""
        parts = max(1, round(seconds * RATE))
        size = -(-len(data) // PACKET // parts) * PACKET
        for begin in range(0, len(data), size):
            while self.stalled.is_set() and self.alive:
                time.sleep(0.01)
            client.sendall(data[begin : begin + size])
            time.sleep(seconds / parts)

    def _accept(self) -> None:
        while self.alive:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.clients += 1
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            self._talk(self, client)


def http(
    data: bytes, seconds: float, *, ends: bool = False
) -> Callable[[Server, socket.socket], None]:
    """Answers any request with a stream, over and over unless it ends."""

    def talk(server: Server, client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        while server.alive:
            server.send(client, data, seconds)
            if ends:
                return

    return talk


def rtsp(data: bytes, seconds: float) -> Callable[[Server, socket.socket], None]:
    """Serves MPEG-TS over RTP, within the connection, as cameras do."""
    sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"

    def talk(server: Server, client: socket.socket) -> None:
        asked = b""
        while server.alive:
            asked += client.recv(4096)
            if not asked:
                return
            while b"\r\n\r\n" in asked:
                request, _, asked = asked.partition(b"\r\n\r\n")
                method = request.split(b" ")[0].decode()
                order = next(
                    line.split(b":")[1].strip().decode()
                    for line in request.split(b"\r\n")
                    if line.lower().startswith(b"cseq")
                )
                head = f"RTSP/1.0 200 OK\r\nCSeq: {order}\r\n"
                if method == "OPTIONS":
                    head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"
                elif method == "DESCRIBE":
                    head += (
                        f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
                    )
                elif method == "SETUP":
                    head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
                else:
                    head += "Session: 1\r\n\r\n"
                client.sendall(head.encode())
                if method == "PLAY":
                    _play(server, client, data, seconds)
                    return

    return talk


def _play(server: Server, client: socket.socket, data: bytes, seconds: float) -> None:
    number, size = 0, 7 * PACKET
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    while server.alive:
        for piece in pieces:
            while server.stalled.is_set() and server.alive:
                time.sleep(0.01)
            stamp = int(number * seconds / len(pieces) * 90_000) & 0xFFFFFFFF
            packet = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, stamp, 1) + piece
            client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
            number += 1
            time.sleep(seconds / len(pieces))


@contextmanager
def serving(talk: Callable[[Server, socket.socket], None], port: int = 0) -> Iterator[Server]:
    server = Server(talk, port)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Receiver:
    """A server that one sink pushes to: FFmpeg's own, by RTMP or RTSP. Notes the level of each picture."""

    def __init__(self, scheme: str, port: int, *, at_most: int | None = None) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}/live/key"
        self._options = (
            {"listen": "1"}
            if scheme == "rtmp"
            else {"rtsp_flags": "listen", "listen_timeout": "20"}
        )
        self._form = "flv" if scheme == "rtmp" else "rtsp"
        self._at_most = at_most
        self.levels: list[float] = []
        self.sizes: set[tuple[int, int]] = set()
        self.samples = 0
        self.loudest = 0.0
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def join(self, seconds: float = 30.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def _receive(self) -> None:
        with (
            suppress(FFmpegError),  # its word for a sender who has left
            av.open(self.url, format=self._form, options=self._options) as container,
        ):
            for packet in container.demux():
                for frame in packet.decode():
                    self._note(frame)
                if self._at_most is not None and len(self.levels) >= self._at_most:
                    return

    def _note(self, frame: object) -> None:
        if isinstance(frame, VideoFrame):
            self.levels.append(float(frame.to_ndarray(format="gray").mean()))
            self.sizes.add((frame.width, frame.height))
        elif isinstance(frame, AudioFrame):
            self.samples += frame.samples
            self.loudest = max(self.loudest, float(np.abs(frame.to_ndarray()).max()))
