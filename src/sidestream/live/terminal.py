"""Prompts that are typed, a line each, and the line that says how a show is going."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.console import plain
from sidestream.live.desk import Desk

LOOK = 0.2
PLAIN_SECONDS = 10.0
LINE_SECONDS = 0.25


class TypedPrompts:
    """Owns the thread that reads lines from a file descriptor. A line that is too long is left out, and counted."""

    def __init__(self, desk: Desk, descriptor: int, limits: ShowLimits = SHOW_LIMITS) -> None:
        self._desk, self._descriptor, self._limits = desk, descriptor, limits
        self._open = True
        self.too_long = 0
        self._thread = threading.Thread(target=self._read, name="prompts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _read(self) -> None:
        begun, skipping = b"", False
        while self._open:
            if not select.select([self._descriptor], [], [], LOOK)[0]:
                continue
            data = os.read(self._descriptor, 4096)
            if not data:
                self._ask(begun, skipping)
                return
            *lines, begun = (begun + data).split(b"\n")
            for line in lines:
                self._ask(line, skipping)
                skipping = False
            if len(begun) > self._limits.line_bytes:
                begun, skipping = b"", True

    def _ask(self, line: bytes, skipped: bool) -> None:
        if skipped or len(line) > self._limits.line_bytes:
            self.too_long += 1
        elif line.strip():
            self._desk.ask(prompt=line.decode(errors="replace").strip())


class StatusLine:
    """Redraws one line on a terminal, above the one that is typed in; elsewhere writes a line now and then."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._drawn = self._stream.isatty()
        self._next = 0.0 if self._drawn else clock() + PLAIN_SECONDS
        self._begun = False

    def tell(self, text: Callable[[], str]) -> None:
        """`text` is called where it is time for a line."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (LINE_SECONDS if self._drawn else PLAIN_SECONDS)
        self._draw(plain(text())) if self._drawn else self._stream.write(f"{plain(text())}\n")

    def say(self, text: str) -> None:
        """Something that stays."""
        if self._begun:
            self._stream.write("\r\x1b[2K")
        self._stream.write(f"sidestream: {plain(text)}\n")
        if self._begun:
            self._stream.write("\n")

    def close(self) -> None:
        if self._begun:
            self._stream.write("\r\x1b[2K")

    def _draw(self, text: str) -> None:
        from rich.console import Console

        if not self._begun:
            self._stream.write("\n")
            self._begun = True
        console = Console(file=self._stream)
        shown = text[: max(10, console.width - 1)]
        # Kept: where the cursor stands, in the line that somebody may be typing.
        self._stream.write("\x1b7\x1b[1A\r\x1b[2K")
        console.print(shown, end="", markup=False, highlight=True, soft_wrap=True)
        self._stream.write("\x1b8")
        self._stream.flush()
