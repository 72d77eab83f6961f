"""The commands that run live, one function each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.console import EXIT_CODES, Printer, counted, stopping
from sidestream.cues import Cues
from sidestream.errors import ConfigError
from sidestream.models import zoo
from sidestream.models.instruct.reader import Reader
from sidestream.parsing import prompt_of
from sidestream.recipe import Recipe

if TYPE_CHECKING:
    from sidestream.flags import Live, Serve
    from sidestream.live.perform import LiveReport
    from sidestream.live.programme import Programme
    from sidestream.live.studio import Studio

    OpenStudio = Callable[..., Studio]


def live(command: Live, printer: Printer, studio: OpenStudio) -> int:
    from sidestream.live.perform import perform
    from sidestream.live.terminal import StatusLine

    programme = _programme(command)
    with stopping() as caught:
        report = perform(
            programme,
            lambda size: studio(
                command.model,
                command.loading,
                stream=command.stream,
                seats=1,
                warm=size,
                live=command.studio,
            ),
            stop=lambda: bool(caught),
            status=StatusLine(),
        )
    for line in _told(report):
        printer.say(line)
    printer.json(asdict(report))
    return EXIT_CODES[caught[0]] if caught else 0


def _programme(command: Live) -> Programme:
    from sidestream.live.programme import Programme
    from sidestream.media.pixels import fitted_size
    from sidestream.types import Controls

    prompt, stream = prompt_of(command), command.stream
    entry = zoo.find(command.model, command.loading.revision)
    recipe = Recipe(prompt=prompt, model=command.model, stream=stream, loading=command.loading)
    return Programme.checked(
        command.source,
        (command.sink, *command.also),
        controls=Controls.of(stream, prompt.at(0) if isinstance(prompt, Cues) else prompt),
        cues=prompt if isinstance(prompt, Cues) else None,
        show=command.show,
        take=command.take,
        overwrite=command.overwrite,
        size_of=lambda width, height: fitted_size(width, height, stream, entry.pixels),
        metadata=recipe.metadata(),
    )


def _told(report: LiveReport) -> Iterator[str]:
    late = ""
    if report.latency_p50 is not None and report.latency_p95 is not None:
        late = f", {1000 * report.latency_p50:.0f} ms late (p95 {1000 * report.latency_p95:.0f})"
    yield (
        f"{counted(report.frames_in + report.frames_missed)} in {report.seconds:.1f} s:"
        f" {report.frames_shown} shown restyled, {report.fps:.1f} fps{late};"
        f" {report.frames_dropped} left out for newer ones; {report.reconnects} reconnects"
    )
    if report.frames_before:
        yield f"{counted(report.frames_before)} more came before the model was there"
    if report.frames_between:
        yield f"{report.frames_between} pictures between restyled ones were shown as well"
    for one in report.sinks:
        nothing = "" if one["written"] or report.frames_shown else ", for nothing was restyled"
        yield (
            f"{one['name']}: {counted(one['written'])}{nothing}, {one['dropped']} dropped,"
            f" {one['reconnects']} reconnects"
        )


def told_name(model: str) -> str:
    """As callers may know it: a folder's place is nobody's business."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def serve(command: Serve, printer: Printer) -> int:
    entry = zoo.find(command.model, command.loading.revision)
    prompt = Reader(entry, command.loading.revision).read(command.prompt)
    config = command.server
    token = config.token or os.environ.get("SIDESTREAM_TOKEN")
    try:
        from sidestream.server import run
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the server needs {error.name}, which is not installed: pip install 'sidestream[server]'"
        ) from error
    from sidestream.live.process import open_studio
    from sidestream.types import Controls

    counts = run.serve(
        lambda: open_studio(
            command.model,
            command.loading,
            stream=command.stream,
            seats=config.seats,
            live=command.studio,
        ),
        replace(config, token=token),
        Controls.of(command.stream, prompt),
        told_name(command.model),
        turn_password=os.environ.get("SIDESTREAM_TURN_PASSWORD"),
        say=printer.say,
    )
    printer.json({"sessions": counts})
    return 0
