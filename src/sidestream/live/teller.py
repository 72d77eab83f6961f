"""What is said while a performance runs."""

from __future__ import annotations

from collections.abc import Sequence

from sidestream.live.intake import Intake
from sidestream.live.outlet import Outlet
from sidestream.live.show import Show
from sidestream.live.studio import Seat, Studio
from sidestream.live.take import TakeRecorder
from sidestream.live.terminal import StatusLine


class Teller:
    """Says how it goes: a line of status, and, once each time, that a source or sink went away or came back."""

    def __init__(
        self,
        status: StatusLine,
        show: Show,
        intake: Intake,
        seat: Seat,
        studio: Studio,
        lanes: Sequence[Outlet],
        take: TakeRecorder | None,
    ) -> None:
        self._status, self._show, self._intake = status, show, intake
        self._seat, self._studio, self._lanes, self._take = seat, studio, lanes, take
        self._known: dict[str, str] = {}
        self.warnings: list[str] = []

    def __call__(self) -> None:
        silent = self._intake.silent()
        why = f" ({self._intake.error})" if self._intake.error else ""
        self._note(
            "source", f"the source is silent{why}: its last picture is held" if silent else ""
        )
        state = self._studio.state
        trouble = state.health not in ("ok", "starting")
        self._note("studio", (state.cause or state.reason) if trouble else "")
        for lane in self._lanes:
            away = lane.broken or not lane.is_open
            self._note(lane.name, f"{lane.name} is away ({lane.error})" if away else "")
        if self._take is not None:
            self._note("take", self._take.error)
        self._status.tell(self._line)

    def _note(self, of: str, text: str) -> None:
        before = self._known.get(of, "")
        if bool(text) == bool(before):
            return
        self._known[of] = text
        self._status.say(text or f"{of} is back")
        if text:
            self.warnings.append(text)

    def _line(self) -> str:
        tally = self._show.tally
        middle = tally.latency(0.5)
        late = "" if middle is None else f" | {1000 * middle:.0f} ms late"
        fps = self._seat.stats().get("fps")
        pace = "" if fps is None else f" ({fps:.1f} fps)"
        prompt = self._seat.controls.prompts[0][0]
        return (
            f"{tally.frames_in} in | {tally.frames_shown} restyled{pace}{late}"
            f" | {self._studio.state.health} | {prompt}"
        )
