"""A live performance from opening the source to the report: what `sidestream live` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from sidestream.config import Size
from sidestream.config_live import SHOW_LIMITS, ShowConfig, ShowLimits
from sidestream.cues import Cues
from sidestream.errors import ConfigError, EngineError
from sidestream.live.attempts import AtEnd
from sidestream.live.desk import Desk
from sidestream.live.intake import Intake
from sidestream.live.osc import OscPort
from sidestream.live.outlet import Outlet
from sidestream.live.show import Show
from sidestream.live.sinks import Out, check_sink, outlet
from sidestream.live.sources import open_capture
from sidestream.live.studio import Seat, Studio
from sidestream.live.take import TakeRecorder, begin_folder
from sidestream.live.terminal import StatusLine, TypedPrompts
from sidestream.media.address import Address, sink_address, source_address
from sidestream.media.capture import Capture
from sidestream.types import Controls

WAIT = 0.02
MOST_RATE = 30
"""Pictures a second that go out unless more are asked for."""


@dataclass(frozen=True, kw_only=True)
class Programme:
    """What is performed, checked."""

    source: Address
    sinks: tuple[Address, ...]
    controls: Controls
    show: ShowConfig
    cues: Cues | None = None
    take: Path | None = None
    overwrite: bool = False
    size_of: Callable[[int, int], Size]
    """The working size for a source of this width and height."""
    metadata: Mapping[str, str]

    @classmethod
    def checked(cls, source: str, sinks: Sequence[str], **rest: Any) -> Programme:
        """Refuses, before a model is loaded, what can be seen to fail."""
        found = cls(
            source=source_address(source),
            sinks=tuple(sink_address(sink) for sink in sinks),
            **rest,
        )
        for sink in found.sinks:
            check_sink(sink, overwrite=found.overwrite)
        if len(set(found.sinks)) < len(found.sinks):
            raise ConfigError("a sink is given twice: name another, or leave it out")
        if found.show.loop and found.source.kind != "file":
            raise ConfigError(f"--loop is for files, and {found.source} has no end: leave it out")
        if found.take is not None:
            begin_folder(found.take)
        return found


@dataclass(frozen=True, kw_only=True)
class LiveReport:
    """What a performance did. Latency is from the capture of a frame until its picture is handed to the sinks."""

    seconds: float
    frames_in: int
    frames_shown: int
    """Restyled pictures that went out, each counted once."""
    frames_dropped: int
    """Frames that no picture was shown of, because there were newer ones."""
    frames_out: int
    """Pictures at the steady beat of the output, those held and those between included."""
    frames_between: int
    """Pictures between two restyled ones, counted in frames_out alone."""
    fps: float
    """Restyled pictures shown by wall time."""
    latency_p50: float | None
    latency_p95: float | None
    reconnects: int
    changes: int
    """Of controls."""
    sinks: Sequence[Mapping[str, Any]]
    osc: Mapping[str, int] | None
    studio: Mapping[str, float]
    seat: Mapping[str, float]
    configuration: Mapping[str, Any]
    warnings: Sequence[str]


def perform(
    programme: Programme,
    open_studio: Callable[[Size], Studio],
    *,
    stop: Callable[[], bool],
    status: StatusLine,
    open_source: Callable[[Address], Capture] | None = None,
    limits: ShowLimits = SHOW_LIMITS,
) -> LiveReport:
    """`open_studio` is called once the source gives pictures, with the working size; `open_source` stands in for sources."""
    live, address = programme.show, programme.source
    opener = open_source or (lambda one: open_capture(one, sound=live.sound, limits=limits))
    with ExitStack() as stack:
        intake = Intake(
            str(address), lambda: opener(address), at_end=_at_end(programme), limits=limits
        )
        stack.callback(intake.close)
        first = intake.first()
        height, width = first.pixels.shape[:2]
        working = programme.size_of(width, height)
        rate = Fraction(live.fps or min(intake.rate, MOST_RATE)).limit_denominator(1001)
        out = Out(
            size=live.output or working,
            rate=rate,
            sound=live.sound and intake.has_sound,
            metadata=programme.metadata,
            overwrite=programme.overwrite,
        )
        lanes = [outlet(one, out, limits) for one in programme.sinks]
        for lane in lanes:
            stack.callback(lane.close)
            lane.begin()
        for sink in programme.sinks:
            if sink.kind == "page":
                status.say(f"the page is http://127.0.0.1:{sink.value}/")
        studio = stack.enter_context(closing(open_studio(working)))
        _wait(studio, intake, stop)
        seat = stack.enter_context(closing(studio.open(programme.controls)))
        desk = Desk(programme.cues, status.say)
        ears = _listen(stack, live, desk, status)
        take = None
        if programme.take is not None:
            take = TakeRecorder(
                programme.take,
                programme.metadata,
                first,
                Fraction(intake.rate).limit_denominator(1001),
                sound=out.sound,
            )
            stack.callback(take.close)
        show = Show(
            intake,
            seat,
            lanes,
            desk,
            rate=rate,
            size=out.size,
            shape=programme.controls.fit,
            limits=limits,
            interpolate=live.interpolate,
            take=take,
        )
        begun = time.perf_counter()
        stack.callback(status.close)
        say = Teller(status, show, intake, seat, studio, lanes, take)
        show.run(stop, live.seconds, say)
        seconds = time.perf_counter() - begun
        tally, seat_stats, studio_stats = show.tally, dict(seat.stats()), dict(studio.stats())
        for lane in lanes:
            lane.close()
        if take is not None:
            take.close()
    return LiveReport(
        seconds=seconds,
        frames_in=tally.frames_in,
        frames_shown=tally.frames_shown,
        frames_dropped=max(0, tally.frames_in + intake.missed - tally.frames_shown),
        frames_out=tally.frames_out,
        frames_between=tally.frames_between,
        fps=tally.frames_shown / seconds,
        latency_p50=tally.latency(0.5),
        latency_p95=tally.latency(0.95),
        reconnects=intake.reconnects,
        changes=desk.changes,
        sinks=[_of(lane) for lane in lanes],
        osc=None if ears is None else {"received": ears.received, "malformed": ears.malformed},
        studio=studio_stats,
        seat=seat_stats,
        configuration={
            "source": str(address),
            "sinks": [str(one) for one in programme.sinks],
            "size": str(working),
            "output": str(out.size),
            "fps": float(rate),
            **asdict(live),
            **programme.metadata,
        },
        warnings=say.warnings,
    )


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
        self._note("studio", state.reason if state.health not in ("ok", "starting") else "")
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


def _at_end(programme: Programme) -> AtEnd:
    if programme.source.kind != "file":
        return "pause"
    return "at once" if programme.show.loop else "stop"


def _wait(studio: Studio, intake: Intake, stop: Callable[[], bool]) -> None:
    """Until the model is there. What comes before that nobody wants; the source is kept going."""
    while studio.state.health == "starting" and not stop():
        intake.take(WAIT)
        time.sleep(WAIT)
    if studio.state.health == "failed":
        raise EngineError(
            f"the model does not run ({studio.state.reason}): try `sidestream doctor`"
        )
    intake.missed = 0


def _listen(stack: ExitStack, live: ShowConfig, desk: Desk, status: StatusLine) -> OscPort | None:
    if sys.stdin is not None and (live.stdin or sys.stdin.isatty()):
        if sys.stdin.isatty():
            status.say(
                "a line that you type is a new prompt, [fade 2] before it lets it fade in; Ctrl-C ends"
            )
        stack.callback(TypedPrompts(desk, sys.stdin.fileno()).close)
    if live.osc is None:
        return None
    port = OscPort(desk, live.osc)
    stack.callback(port.close)
    return port


def _of(lane: Outlet) -> dict[str, Any]:
    return {
        "name": lane.name,
        "written": lane.written,
        "dropped": lane.dropped,
        "reconnects": lane.reconnects,
        "error": str(lane.error or ""),
    }
