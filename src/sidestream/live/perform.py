"""A live performance from opening the source to the report: what `sidestream live` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from sidestream.config import Size
from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.live.intake import Intake
from sidestream.live.outlet import Outlet
from sidestream.live.programme import Programme
from sidestream.live.show import Show
from sidestream.live.sources import open_capture
from sidestream.live.stage import Stage, set_up, show_on
from sidestream.live.studio import Studio
from sidestream.live.teller import Teller
from sidestream.live.terminal import StatusLine
from sidestream.media.address import Address
from sidestream.media.capture import Capture


@dataclass(frozen=True, kw_only=True)
class LiveReport:
    """What a performance did. Latency is from the capture of a frame until its picture is handed to the sinks."""

    seconds: float
    frames_in: int
    """Frames that were handed in to be restyled."""
    frames_missed: int
    """Frames that came and were replaced by newer ones before that. With frames_in: those shown and those dropped."""
    frames_before: int
    """Frames that came while the model was loaded, and are in no other count."""
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
    live = programme.show
    opener = open_source or (
        lambda one: open_capture(one, sound=live.sound, smaller=programme.smaller, limits=limits)
    )
    with ExitStack() as stack:
        intake = Intake(
            str(programme.source),
            lambda: opener(programme.source),
            at_end=programme.at_end,
            waits=programme.source.kind == "file",
            limits=limits,
        )
        stack.callback(intake.close)
        stage = set_up(stack, programme, intake, open_studio, stop, status, limits)
        show = show_on(stage, programme, limits)
        begun = time.perf_counter()
        stack.callback(status.close)
        say = Teller(status, show, intake, stage.seat, stage.studio, stage.lanes, stage.take)
        show.run(stop, live.seconds, say)
        seconds = time.perf_counter() - begun
        # Of seat and studio while they are open, of the sinks when they are done.
        seat, studio = dict(stage.seat.stats()), dict(stage.studio.stats())
        for lane in stage.lanes:
            lane.close()
        if stage.take is not None:
            stage.take.close()
    return _report(stage, show, programme, seconds, {"seat": seat, "studio": studio}, say.warnings)


def _report(
    stage: Stage,
    show: Show,
    programme: Programme,
    seconds: float,
    stats: Mapping[str, Mapping[str, float]],
    warnings: Sequence[str],
) -> LiveReport:
    tally, intake, ears = show.tally, stage.intake, stage.ears
    return LiveReport(
        seconds=seconds,
        frames_in=tally.frames_in,
        frames_missed=intake.missed,
        frames_before=stage.before,
        frames_shown=tally.frames_shown,
        frames_dropped=max(0, tally.frames_in + intake.missed - tally.frames_shown),
        frames_out=tally.frames_out,
        frames_between=tally.frames_between,
        fps=tally.frames_shown / seconds,
        latency_p50=tally.latency(0.5),
        latency_p95=tally.latency(0.95),
        reconnects=intake.reconnects,
        changes=stage.desk.changes,
        sinks=[_of(lane) for lane in stage.lanes],
        osc=None if ears is None else {"received": ears.received, "malformed": ears.malformed},
        **stats,
        configuration={
            "source": str(programme.source),
            "sinks": [str(one) for one in programme.sinks],
            "size": str(stage.working),
            "output": str(stage.out.size),
            "fps": float(stage.out.rate),
            **asdict(programme.show),
            **programme.metadata,
        },
        warnings=warnings,
    )


def _of(lane: Outlet) -> dict[str, Any]:
    return {
        "name": lane.name,
        "written": lane.written,
        "dropped": lane.dropped,
        "reconnects": lane.reconnects,
        "error": str(lane.error or ""),
    }
