"""The command line: one short function a command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from math import isqrt
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, cast

from sidestream import __version__
from sidestream.cli_lab import bench, evaluate, metrics, train
from sidestream.cli_live import live, serve, told_name
from sidestream.config import ModelConfig, StreamConfig
from sidestream.console import (
    EXIT_CODES,
    Printer,
    complain,
    counted,
    hung_up,
    progress_bar,
    quiet_libraries,
    silence,
    stopping,
)
from sidestream.errors import HUNG_UP, INTERRUPTED, UNREAD, SidestreamError
from sidestream.flags import (
    Bench,
    Command,
    Demo,
    Doctor,
    Eval,
    Live,
    Metrics,
    Render,
    Serve,
    Stylize,
    Train,
)
from sidestream.models import zoo
from sidestream.models.instruct.template import clean
from sidestream.parsing import notes_of, parse, prompt_of
from sidestream.recipe import Recipe

if TYPE_CHECKING:
    from sidestream.cli_live import OpenStudio
    from sidestream.doctor import Load
    from sidestream.live.studio import Studio
    from sidestream.report import Report
    from sidestream.stylizer import Stylizer


def main(
    arguments: Sequence[str] | None = None,
    *,
    load: Load | None = None,
    studio: OpenStudio | None = None,
) -> int:
    """Runs a command and returns its exit code; `load` stands in for Stylizer.load, `studio` for open_studio."""
    try:
        code = _obey(sys.argv[1:] if arguments is None else arguments, load, studio)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        silence(sys.stdout)
        return UNREAD
    except OSError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if hung_up(stream)]
        if not closed:
            raise
        silence(*closed)
        return HUNG_UP


def _obey(arguments: Sequence[str], load: Load | None, studio: OpenStudio | None) -> int:
    if list(arguments) == ["--version"]:
        print(f"sidestream {__version__}")
        return 0
    try:
        command = parse(arguments)
        printer = Printer(command.json, command.files)
        if isinstance(command, Live):
            return live(command, printer, studio or _studio)
        return _run(command, printer, load or _load)
    except SidestreamError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        complain("stopped")
        return INTERRUPTED
    except SystemExit as stop:
        return cast(int, stop.code)


def stylize(command: Stylize, printer: Printer, load: Load) -> int:
    from sidestream.restyle import check, restyle

    recipe = Recipe(
        prompt=prompt_of(command),
        model=command.model,
        stream=command.stream,
        loading=command.loading,
    )
    check(command.source, command.target, recipe, command.file)
    for note in notes_of(command):
        complain(note)
    with load(recipe.model, recipe.loading) as stylizer, stopping() as caught:
        with progress_bar() as progress:
            report = restyle(
                stylizer,
                command.source,
                command.target,
                recipe,
                command.file,
                progress=progress,
                stop=lambda: bool(caught),
            )
        return _conclude(printer, report, command.target, caught)


def demo(command: Demo, printer: Printer, load: Load) -> int:
    from sidestream.demo import make_folder, restyle_demo

    make_folder(command.output_dir)
    recipe = Recipe(prompt=clean(command.prompt), stream=StreamConfig(size=command.size))
    with load(recipe.model, recipe.loading) as stylizer, stopping() as caught:
        with progress_bar() as progress:
            files, report = restyle_demo(
                stylizer,
                recipe,
                command.output_dir,
                command.seconds,
                progress=progress,
                stop=lambda: bool(caught),
            )
        return _conclude(printer, report, " and ".join(map(str, files)), caught)


def render(command: Render, printer: Printer, load: Load) -> int:
    from sidestream.retake import Take, retake

    take = Take.read(Path(command.take), command.again)
    take.check(command.target, command.file)
    with load(take.recipe.model, take.recipe.loading) as stylizer, stopping() as caught:
        with progress_bar() as progress:
            report = retake(
                stylizer,
                take,
                command.target,
                command.file,
                progress=progress,
                stop=lambda: bool(caught),
            )
        return _conclude(printer, report, command.target, caught)


def models(printer: Printer) -> int:
    from sidestream.models.components import is_here

    rows = [
        {
            "name": entry.name,
            "size": f"{isqrt(entry.pixels)}x{isqrt(entry.pixels)}",
            "on this machine": "yes" if is_here(entry) else "no",
            "licence": entry.licence.name,
            "about": entry.about,
        }
        for entry in zoo.MODELS.values()
    ]
    printer.table(rows)
    printer.json(rows)
    return 0


def doctor(printer: Printer, load: Load) -> int:
    from sidestream.doctor import checks, nano_works

    found = checks(load)
    printer.table([{"check": one.name, "state": one.state, "found": one.found} for one in found])
    for one in found:
        if one.advice:
            printer.say(f"{one.name}: {one.advice}")
    printer.json([asdict(one) for one in found])
    return 0 if nano_works(found) else 1


def _run(command: Command, printer: Printer, load: Load) -> int:
    match command:
        case Stylize():
            return stylize(command, printer, load)
        case Demo():
            return demo(command, printer, load)
        case Doctor():
            return doctor(printer, load)
        case Metrics():
            return metrics(command, printer)
        case Eval():
            return evaluate(command, printer, load)
        case Bench():
            return bench(command, printer, load)
        case Train():
            return train(command, printer)
        case Serve():
            return serve(command, printer)
        case Render():
            return render(command, printer, load)
        case _:
            return models(printer)


def _load(model: str, config: ModelConfig) -> Stylizer:
    from sidestream.stylizer import Stylizer

    complain(f"loading {told_name(model)}")
    quiet_libraries()
    return Stylizer.load(model, config)


def _studio(model: str, config: ModelConfig, **how: Any) -> Studio:
    from sidestream.live.process import open_studio

    return open_studio(model, config, **how)


def _conclude(printer: Printer, report: Report, where: str, caught: Sequence[Signals]) -> int:
    for warning in report.warnings:
        complain(f"warning: {warning}")
    printer.say(
        f"{counted(report.frames_out)} in {report.wall_seconds:.1f} s: {report.fps:.1f} fps"
        f" ({report.step_fps:.1f} in rendering alone), in {where}"
    )
    printer.json(asdict(report))
    if not report.stopped:
        return 0
    done = counted(report.frames_out)
    if report.frames_expected is not None:
        done = f"{report.frames_out} of {counted(report.frames_expected)}"
    complain(f"stopped after {done}; {where} holds them")
    return EXIT_CODES[caught[0]]
