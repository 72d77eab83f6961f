"""What is asked for while a show runs, from the terminal, by OSC or by cues: gathered, checked, and set at a frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sidestream.cues import Cues, Fade, wish
from sidestream.errors import ConfigError
from sidestream.live.studio import Seat

ASKED = ("prompt", "strength", "stability", "steps", "seed")


class Desk:
    """Takes wishes from any thread; the latest of a kind wins, so that no flood of them can be late or large."""

    def __init__(
        self, cues: Cues | None = None, refused: Callable[[str], None] = lambda why: None
    ) -> None:
        """`refused` is told, in one sentence, what cannot be had."""
        self._lock = threading.Lock()
        self._wishes: dict[str, Any] = {}
        self._cues, self._refused = cues, refused
        self._cue: Fade | None = None
        self._fade: Fade | None = None
        """What the prompt is on its way to."""
        self.changes = 0

    def ask(self, **wishes: Any) -> None:
        """A prompt may begin with `[fade SECONDS]`."""
        with self._lock:
            self._wishes.update({name: wishes[name] for name in ASKED if name in wishes})

    def settle(self, seat: Seat, seconds: float) -> Mapping[str, Any]:
        """Sets on the seat, for the frame that comes next, what was asked for since; returns what is new.

        `seconds` counts from the first frame. A cue holds until another cue; a wish holds until the next cue.
        """
        taken: dict[str, Any] = {}
        for name, value in self._new(seconds).items():
            try:
                fade = _faded(value, seat, seconds) if name == "prompt" else None
                wanted = fade.at(seconds) if fade else value
                controls = replace(seat.controls, **{name: wanted})
                if getattr(controls, name) != getattr(seat.controls, name):
                    seat.change(controls)
                    taken[name] = wanted
                if fade:
                    self._fade = None if fade.over(seconds) else fade
            except (ConfigError, TypeError) as error:
                if value is self._fade:
                    self._fade = None
                self._refused(str(error))
        self.changes += bool(taken)
        return taken

    def _new(self, seconds: float) -> dict[str, Any]:
        with self._lock:
            wishes, self._wishes = self._wishes, {}
        if self._cues is not None and (cue := self._cues.newest(seconds)) != self._cue:
            self._cue = self._fade = cue
        return wishes if self._fade is None else {"prompt": self._fade, **wishes}


def _faded(value: Any, seat: Seat, seconds: float) -> Fade:
    """A wish, which may fade in from what holds now, or what is on its way already."""
    if isinstance(value, Fade):
        return value
    if isinstance(value, str):
        prompt, length = wish(value)
        return Fade(seat.controls.prompt, prompt, seconds, length)
    return Fade(value, value, seconds, 0.0)
