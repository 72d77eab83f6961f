"""Chromium with a camera that is a fake, in front of a server in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
MISSING = "no browser, so nothing of the page was tested; run: scripts/browser (or sudo apt-get install chromium)"
FLAGS = (
    "--use-fake-device-for-media-stream",
    # Between pages of one machine: candidates on the loopback, and addresses in place of names nobody resolves here.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
ALLOWED = "--use-fake-ui-for-media-stream"


class Server:
    """A server process; killed and started again it keeps its port."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> Server:
        paths = os.pathsep.join((str(SOURCES), str(HERE.parent)))
        command = [sys.executable, *self.command, "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(re.findall(r":(\d+)/", self.process.stdout.readline())[0])
        return self

    def stop(self) -> tuple[int, float]:
        """Its exit code, and how many seconds it took to leave."""
        if self.process is None:
            return 0, 0.0
        start = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(20)
        finally:
            self.kill()
        return code, time.monotonic() - start

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None


def fake(*more: str) -> Server:
    return Server("-m", "server.host", *more)


def real() -> Server:
    return Server(
        "-m", "sidestream", "serve", "--size", "128x128", "--prompt", "keep this as it is"
    )


def launch(playwright: Any, *flags: str) -> Any:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])


def until(page: Any, expression: str, seconds: float = 30) -> Any:
    """Waits for an expression to hold. Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not (value := page.evaluate(expression)):
        if time.monotonic() > end:
            raise AssertionError(f"{expression}; the page says: {page.inner_text('body')[:300]}")
        time.sleep(0.05)
    return value


LIVE = "sidestream.link?.live && sidestream.view.live"


def means(page: Any, part: str = "0, 0, 1, 1") -> list[float]:
    """Of red, green and blue, in a part of the page's picture."""
    return page.evaluate(
        f"""(([x, y, w, h]) => {{
          const canvas = document.getElementById("view");
          const {{ width, height }} = canvas;
          const pixels = canvas.getContext("2d").getImageData(x * width, y * height, w * width, h * height).data;
          const sums = [0, 0, 0];
          for (let at = 0; at < pixels.length; at += 4) for (let c = 0; c < 3; c++) sums[c] += pixels[at + c];
          return sums.map((sum) => (sum * 4) / pixels.length);
        }})([{part}])"""
    )


def see(page: Any, right: Any, part: str = "0, 0, 1, 1", seconds: float = 30) -> list[float]:
    end = time.monotonic() + seconds
    while not right(*(found := means(page, part))):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found
