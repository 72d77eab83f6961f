"""A page on this machine that shows the show: MJPEG over HTTP, for browsers and for players."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SinkError
from sidestream.types import Frame

HOST = "127.0.0.1"
NAMES = (HOST, "localhost", "[::1]")
QUALITY = 85
BOUNDARY = "frame"
PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>sidestream</title>
<link rel="stylesheet" href="/style.css">
<main><img src="/stream.mjpg" alt="The restyled picture, live"></main>
<p>sidestream, live. Players open <a href="/stream.mjpg">/stream.mjpg</a>; a still is at <a href="/still.jpg">/still.jpg</a>.</p>
</html>
"""
STYLE = b"""
:root { color-scheme: dark; font: 15px/1.5 system-ui, sans-serif; background: #101214; color: #9aa4ad; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 1rem; }
main { display: flex; width: 100%; justify-content: center; }
img { max-width: 96vw; max-height: 86vh; width: 60rem; object-fit: contain; background: #000; border-radius: 6px; }
p { margin: 0 1rem 1rem; text-align: center; } a { color: #cfe3ff; }
"""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; frame-ancestors 'none'",
}


class Newest:
    """The newest picture as JPEG; a viewer who is slow finds that some are gone, and nobody else does."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self._data = b""
        self._number = 0
        self.open = True

    def put(self, data: bytes) -> None:
        with self._came:
            self._data, self._number = data, self._number + 1
            self._came.notify_all()

    def after(self, number: int, seconds: float) -> tuple[int, bytes]:
        """The newest that is not this one; empty where none came in time or no more will come."""
        with self._came:
            self._came.wait_for(lambda: self._number > number or not self.open, seconds)
            return (self._number, self._data if self._number > number else b"")

    def close(self) -> None:
        with self._came:
            self.open = False
            self._came.notify_all()


class PageSink:
    """An outlet.LiveSink. Owns a server that only this machine reaches, and its threads."""

    def __init__(self, port: int, limits: ShowLimits = SHOW_LIMITS) -> None:
        self._newest = Newest()
        try:
            self._server = _Server(port, self._newest, limits)
        except OSError as error:
            raise SinkError(
                f"port {port} cannot be listened on ({error.strerror}): give another, as page:PORT"
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="page", daemon=True
        )
        self._thread.start()

    def show(self, frame: Frame) -> None:
        import cv2

        _, data = cv2.imencode(".jpg", frame.pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        self._newest.put(data.tobytes())

    def hear(self, samples: NDArray[np.float32], seconds: float) -> None:
        """Pictures only."""

    def close(self) -> None:
        self._newest.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Viewer(BaseHTTPRequestHandler):
    server_version, sys_version = "sidestream", ""

    @property
    def _page(self) -> _Server:
        return cast("_Server", self.server)

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self._page.limits.viewer_timeout)

    def do_GET(self) -> None:
        # A page of another site that had its name lead here would be obeyed by the browser otherwise.
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if name not in NAMES:
            self._answer(403, "text/plain", b"this page is for this machine only\n")
            return
        match self.path:
            case "/":
                self._answer(200, "text/html; charset=utf-8", PAGE)
            case "/style.css":
                self._answer(200, "text/css", STYLE)
            case "/favicon.ico":  # which browsers ask for by themselves
                self._answer(204, "image/x-icon", b"")
            case "/still.jpg":
                _, data = self._page.newest.after(0, self._page.limits.viewer_timeout)
                self._answer(200 if data else 503, "image/jpeg", data)
            case "/stream.mjpg":
                self._stream()
            case _:
                self._answer(404, "text/plain", b"there is nothing here; the page is at /\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self._begin(code, {"Content-Type": kind, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for header, value in {**HEADERS, **headers}.items():
            self.send_header(header, value)
        self.end_headers()

    def _stream(self) -> None:
        if not self._page.seats.acquire(blocking=False):
            self._answer(503, "text/plain", b"all places are taken: close another viewer\n")
            return
        try:
            self._send_pictures(self._page.newest)
        finally:
            self._page.seats.release()

    def _send_pictures(self, newest: Newest) -> None:
        self._begin(200, {"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"})
        number = 0
        while newest.open:
            number, data = newest.after(number, 1.0)
            if data:
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, newest: Newest, limits: ShowLimits) -> None:
        self.newest, self.limits = newest, limits
        self.seats = threading.BoundedSemaphore(limits.viewers)
        super().__init__((HOST, port), _Viewer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer who left."""
