"""What is asked for while a show runs, from the terminal, by OSC or by cues: gathered, checked, and set at a frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sidestream.cues import Cues
from sidestream.errors import ConfigError
from sidestream.live.studio import Seat
from sidestream.models.instruct.template import clean

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
        self._cue: object = None
        self.changes = 0

    def ask(self, **wishes: Any) -> None:
        with self._lock:
            self._wishes.update({name: wishes[name] for name in ASKED if name in wishes})

    def settle(self, seat: Seat, seconds: float) -> Mapping[str, Any]:
        """Sets on the seat, for the frame that comes next, what was asked for since; returns what is new.

        `seconds` counts from the first frame. A cue holds until another cue; a wish holds until the next cue.
        """
        with self._lock:
            wishes, self._wishes = self._wishes, {}
        if self._cues is not None and (cue := self._cues.at(seconds)) != self._cue:
            self._cue = cue
            wishes = {"prompt": cue, **wishes}
        taken: dict[str, Any] = {}
        for name, value in wishes.items():
            try:
                wanted = clean(value) if isinstance(value, str) else value
                controls = replace(seat.controls, **{name: wanted})
                if getattr(controls, name) != getattr(seat.controls, name):
                    seat.change(controls)
                    taken[name] = wanted
            except (ConfigError, TypeError) as error:
                self._refused(str(error))
        self.changes += bool(taken)
        return taken
