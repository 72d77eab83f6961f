"""What is opened for a live performance, in order; and the time until the model is there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction

from sidestream.config import Size
from sidestream.config_live import ShowConfig, ShowLimits
from sidestream.errors import EngineError
from sidestream.live.desk import Desk
from sidestream.live.intake import Intake
from sidestream.live.osc import OscPort
from sidestream.live.outlet import Outlet
from sidestream.live.programme import Programme
from sidestream.live.show import Show
from sidestream.live.sinks import Out, outlet
from sidestream.live.studio import Seat, Studio
from sidestream.live.take import TakeRecorder
from sidestream.live.terminal import StatusLine, TypedPrompts
from sidestream.types import Frame

WAIT = 0.02
MOST_RATE = 30
"""Pictures a second that go out unless more are asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """All that is open while a performance runs; whoever opened it closes it."""

    intake: Intake
    working: Size
    out: Out
    lanes: Sequence[Outlet]
    studio: Studio
    seat: Seat
    desk: Desk
    ears: OscPort | None
    take: TakeRecorder | None
    before: int
    """Frames that came while the model was loaded."""


def set_up(
    stack: ExitStack,
    programme: Programme,
    intake: Intake,
    open_studio: Callable[[Size], Studio],
    stop: Callable[[], bool],
    status: StatusLine,
    limits: ShowLimits,
) -> Stage:
    """Opens everything, what fails soonest first."""
    first = intake.first()
    height, width = first.pixels.shape[:2]
    working = programme.size_of(width, height)
    out = _out(programme, intake, working)
    lanes = _lanes(stack, programme, out, status, limits)
    studio = stack.enter_context(closing(open_studio(working)))
    if studio.state.health == "starting":
        status.say("the model is being loaded")
    before = _wait(studio, intake, stop)
    seat = stack.enter_context(closing(studio.open(programme.controls)))
    desk = Desk(programme.cues, status.say)
    ears = _listen(stack, programme.show, desk, status)
    return Stage(
        intake=intake,
        working=working,
        out=out,
        lanes=lanes,
        studio=studio,
        seat=seat,
        desk=desk,
        ears=ears,
        take=_recorder(stack, programme, intake, first, out),
        before=before,
    )


def _out(programme: Programme, intake: Intake, working: Size) -> Out:
    live = programme.show
    return Out(
        size=live.output or working,
        rate=Fraction(live.fps or min(intake.rate, MOST_RATE)).limit_denominator(1001),
        sound=live.sound and intake.has_sound,
        metadata=programme.metadata,
        overwrite=programme.overwrite,
    )


def _lanes(
    stack: ExitStack, programme: Programme, out: Out, status: StatusLine, limits: ShowLimits
) -> list[Outlet]:
    lanes = [outlet(one, out, limits) for one in programme.sinks]
    for lane in lanes:
        stack.callback(lane.close)
        lane.begin()
    for sink in programme.sinks:
        if sink.kind == "page":
            status.say(f"the page is http://127.0.0.1:{sink.value}/")
    return lanes


def _recorder(
    stack: ExitStack, programme: Programme, intake: Intake, first: Frame, out: Out
) -> TakeRecorder | None:
    if programme.take is None:
        return None
    rate = Fraction(intake.rate).limit_denominator(1001)
    take = TakeRecorder(programme.take, programme.metadata, first, rate, sound=out.sound)
    stack.callback(take.close)
    return take


def show_on(stage: Stage, programme: Programme, limits: ShowLimits) -> Show:
    """The loop, ready to run."""
    return Show(
        stage.intake,
        stage.seat,
        stage.lanes,
        stage.desk,
        rate=stage.out.rate,
        size=stage.out.size,
        shape=programme.controls.fit,
        limits=limits,
        interpolate=programme.show.interpolate,
        take=stage.take,
    )


def _wait(studio: Studio, intake: Intake, stop: Callable[[], bool]) -> int:
    """Until the model is there. What comes before that nobody wants but to count it; a source that goes on is kept going."""
    before = 0
    while studio.state.health == "starting" and not stop():
        before += intake.take(WAIT) is not None
        time.sleep(WAIT)
    if studio.state.health == "failed":
        raise EngineError(
            f"the model does not run ({studio.state.cause or studio.state.reason}): try `sidestream doctor`"
        )
    return before + intake.go_on()


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
