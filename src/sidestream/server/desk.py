"""The controls of one session: one place, whoever changes them, by whatever way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.cues import Fade
from sidestream.errors import ConfigError
from sidestream.live.studio import Seat
from sidestream.server.forms import Change, Shown
from sidestream.server.refusal import Refusal, impossible
from sidestream.types import Controls

Tell = Callable[[dict[str, object]], object]


class Desk:
    """Owns what was asked for last, and when the seat was last told. Changes that come too fast wait; the latest wins."""

    def __init__(
        self,
        seat: Seat,
        tell: Tell,
        clock: Callable[[], float],
        limits: ServerLimits = SERVER_LIMITS,
    ) -> None:
        self._seat = seat
        self._tell = tell
        self._clock = clock
        self._pause = 1 / limits.changes_per_second
        self._told = -self._pause
        self._wanted = seat.controls
        self._fade_seconds = 0.0
        self._waiting = False
        self._fade: Fade | None = None
        self.overtaken = 0
        """Changes that were replaced before the seat heard of them."""

    @property
    def controls(self) -> Controls:
        """As asked for; the seat may hear of them a moment later, and of a prompt that fades in bit by bit."""
        return replace(self._wanted, revision=self._seat.controls.revision)

    def ask(self, change: Change) -> Controls:
        self._wanted = change.onto(self.controls)
        if change.prompt is not None:
            self._fade_seconds = change.fade
        self.overtaken += self._waiting
        self._waiting = True
        if self._clock() - self._told >= self._pause:
            self._hand_over()
        return self.controls

    def settle(self) -> None:
        """Hands over what waits, once it has waited long enough; nobody is left to be refused but those who listen."""
        try:
            if self._waiting and self._clock() - self._told >= self._pause:
                self._hand_over()
            elif self._fade is not None:
                self._set()
        except Refusal as refusal:
            self._tell({"type": "refused", **refusal.body})
            self._tell(self.message)

    @property
    def message(self) -> dict[str, object]:
        return {"type": "controls", "controls": Shown.of(self.controls).model_dump()}

    def _hand_over(self) -> None:
        self._waiting, self._told = False, self._clock()
        held, wanted = self._seat.controls.prompt, self._wanted.prompt
        fade = self._fade or Fade(held, held, self._told, 0.0)
        if wanted != fade.after:
            self._fade = Fade(fade.at(self._told), wanted, self._told, self._fade_seconds)
        self._set()
        self._tell(self.message)

    def _set(self) -> None:
        """What holds now, on the seat."""
        now, fade = self._clock(), self._fade
        self._fade = None if fade is None or fade.over(now) else fade
        try:
            self._seat.change(replace(self._wanted, prompt=fade.at(now)) if fade else self._wanted)
        except ConfigError as error:
            self._wanted, self._fade = self._seat.controls, None
            raise impossible(error) from error
