"""The controls of one session: one place, whoever changes them, by whatever way."""

from __future__ import annotations

from collections.abc import Callable

from sidestream.config_live import SERVER_LIMITS, ServerLimits
from sidestream.errors import ConfigError
from sidestream.live.studio import Seat
from sidestream.server.forms import Change, Shown
from sidestream.server.refusal import Refusal
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
        self._waiting: Controls | None = None
        self.overtaken = 0
        """Changes that were replaced before the seat heard of them."""

    @property
    def controls(self) -> Controls:
        """As asked for; the seat may hear of them a moment later."""
        return self._waiting or self._seat.controls

    def ask(self, change: Change) -> Controls:
        self.overtaken += self._waiting is not None
        self._waiting = change.onto(self.controls)
        if self._clock() - self._told >= self._pause:
            self._hand_over()
        return self.controls

    def settle(self) -> None:
        """Hands over what waits, once it has waited long enough; nobody is left to be refused but those who listen."""
        if self._waiting is not None and self._clock() - self._told >= self._pause:
            try:
                self._hand_over()
            except Refusal as refusal:
                self._tell({"type": "refused", **refusal.body})
                self._tell(self.message)

    @property
    def message(self) -> dict[str, object]:
        return {"type": "controls", "controls": Shown.of(self.controls).model_dump()}

    def _hand_over(self) -> None:
        wanted, self._waiting, self._told = self._waiting, None, self._clock()
        if wanted is None:
            return
        try:
            self._seat.change(wanted)
        except ConfigError as error:
            raise Refusal(422, "controls", f"This cannot be done: {error}.") from error
        self._tell(self.message)
