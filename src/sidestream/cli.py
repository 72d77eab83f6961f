"""The command line: one short function a command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import tee, zip_longest
from math import isqrt
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, cast

from sidestream import __version__
from sidestream.config import Fit, ModelConfig, Size, StreamConfig
from sidestream.console import (
    EXIT_CODES,
    Printer,
    complain,
    progress_bar,
    quiet_libraries,
    stages,
    stopping,
)
from sidestream.cues import Cues
from sidestream.errors import INTERRUPTED, ConfigError, SidestreamError
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
    notes_of,
    parse,
    prompt_of,
)
from sidestream.models import zoo
from sidestream.models.instruct.template import clean
from sidestream.recipe import FileOptions, Recipe

if TYPE_CHECKING:
    from sidestream.doctor import Load
    from sidestream.live.studio import Studio
    from sidestream.report import Report
    from sidestream.stylizer import Stylizer
    from sidestream.types import Pixels, Record

    OpenStudio = Callable[..., Studio]


def main(
    arguments: Sequence[str] | None = None,
    *,
    load: Load | None = None,
    studio: OpenStudio | None = None,
) -> int:
    """Runs a command and returns its exit code; `load` stands in for Stylizer.load, `studio` for open_studio."""
    arguments = sys.argv[1:] if arguments is None else arguments
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


def live(command: Live, printer: Printer, studio: OpenStudio) -> int:
    from sidestream.live.perform import Programme, perform
    from sidestream.live.terminal import StatusLine
    from sidestream.media.pixels import fitted_size
    from sidestream.types import Controls

    prompt, stream = prompt_of(command), command.stream
    entry = zoo.find(command.model, command.loading.revision)
    recipe = Recipe(prompt=prompt, model=command.model, stream=stream, loading=command.loading)
    programme = Programme.checked(
        command.source,
        (command.sink, *command.also),
        controls=Controls(
            prompt=prompt.at(0) if isinstance(prompt, Cues) else prompt,
            strength=stream.strength,
            stability=stream.stability,
            seed=stream.seed,
            steps=stream.steps,
            size=stream.size,
            fit=stream.fit,
        ),
        cues=prompt if isinstance(prompt, Cues) else None,
        show=command.show,
        take=command.take,
        overwrite=command.overwrite,
        size_of=lambda width, height: fitted_size(width, height, stream, entry.pixels),
        metadata=recipe.metadata(),
    )
    with stopping() as caught:
        report = perform(
            programme,
            lambda size: studio(command.model, command.loading, stream=stream, seats=1, warm=size),
            stop=lambda: bool(caught),
            status=StatusLine(),
        )
    late = (
        ""
        if report.latency_p50 is None
        else (
            f", {1000 * report.latency_p50:.0f} ms late (p95 {1000 * (report.latency_p95 or 0):.0f})"
        )
    )
    printer.say(
        f"{_frames(report.frames_in)} in {report.seconds:.1f} s: {report.frames_shown} shown restyled,"
        f" {report.fps:.1f} fps{late}; {report.frames_dropped} dropped, {report.reconnects} reconnects"
    )
    for one in report.sinks:
        printer.say(
            f"{one['name']}: {_frames(one['written'])}, {one['dropped']} dropped, {one['reconnects']} reconnects"
        )
    printer.json(asdict(report))
    return EXIT_CODES[caught[0]] if caught else 0


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
    from sidestream.doctor import is_here

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


def metrics(command: Metrics, printer: Printer) -> int:
    from sidestream.eval.metrics import measure
    from sidestream.media.open import open_source
    from sidestream.media.pixels import fit

    how, part = _made(command.target)
    counts = [0, 0]

    def pairs() -> Iterator[tuple[Pixels, Pixels]]:
        for before, after in zip_longest(inputs, outputs):
            counts[0] += before is not None
            counts[1] += after is not None
            if before and after:
                height, width = after.pixels.shape[:2]
                yield fit(before.pixels, Size(width, height), how), after.pixels

    with (
        open_source(command.source, start=part.start, duration=part.duration) as inputs,
        open_source(command.target) as outputs,
    ):
        left, right = tee(pairs())
        measured = measure((pair[0] for pair in left), (pair[1] for pair in right))
    if counts[0] != counts[1]:
        complain(
            f"{command.source} has {_frames(counts[0])} and {command.target} {counts[1]}:"
            f" the first {min(counts)} of both are compared"
        )
    printer.table([{name: f"{value:.3f}" for name, value in measured.items()}])
    printer.json({"frames": min(counts), **measured})
    return 0


def evaluate(command: Eval, printer: Printer, load: Load) -> int:
    from sidestream.demo import make_folder
    from sidestream.eval import clips, nano
    from sidestream.eval.bench import Bench, Extent
    from sidestream.eval.findings import summary
    from sidestream.eval.results import Results

    zoo.find(command.model)
    found = (
        clips.load(command.clips, command.size) if command.clips else clips.rendered(command.size)
    )
    make_folder(command.output_dir)
    extent = Extent(min(command.frames, 8) if command.quick else command.frames, command.quick)
    with (
        load(command.model, ModelConfig(adapter=command.adapter)) as steady,
        load(command.model, ModelConfig(adapter="none")) as plain,
        progress_bar() as progress,
    ):
        bench = Bench(command.model, steady, plain, extent)
        records = nano.evaluate(bench, found, command.output_dir, progress=progress)
    rows = summary(Results(records))
    printer.table(rows)
    printer.say(f"the report is {command.output_dir / nano.REPORT}")
    printer.json(rows)
    return 0


def bench(command: Bench, printer: Printer, load: Load) -> int:
    from sidestream.bench import suite
    from sidestream.bench.bench import Bench as Measured
    from sidestream.bench.report import is_curve, line
    from sidestream.demo import make_folder

    zoo.find(command.model, command.loading.revision)
    make_folder(command.output_dir)
    experiment = suite.EXPERIMENTS[command.what]
    frames = experiment.quick if command.quick else experiment.frames
    bench = Measured(
        load,
        command.model,
        command.loading,
        command.stream,
        frames=command.frames or frames,
        rounds=min(command.rounds, 2) if command.quick else command.rounds,
        quick=command.quick,
        file_to_file=command.file_to_file,
        rate=command.rate,
    )

    def told(record: Record) -> None:
        if not is_curve(record):
            printer.say(line(record))

    found = suite.perform(command.what, bench, command.output_dir, told)
    printer.say(f"the report is {command.output_dir / suite.REPORT}")
    printer.json([asdict(record) for record in found])
    return 0


def train(command: Train, printer: Printer) -> int:
    from sidestream.demo import make_folder
    from sidestream.models import nano
    from sidestream.train.steadying import SteadyCourse

    start = nano.FOLDER if command.model == "nano" else command.model and Path(command.model)
    if start and not start.is_dir():
        raise ConfigError(
            f"there is no model folder {start}: give nano, or the folder `train nano` wrote"
        )
    make_folder(command.training.folder)
    quiet_libraries()
    with stopping() as caught, stages() as told:
        course = SteadyCourse(command.training, told, lambda: bool(caught))
        steady = {"adapter": course.adapter, "lllite": course.lllite}
        if train_steady := steady.get(command.what):
            done = train_steady(start or nano.FOLDER)
        else:
            done = course.nano(start or None)
    where = course.model_folder if done else command.training.folder
    printer.say(f"{'trained' if done else 'stopped; the same command goes on from here'}: {where}")
    printer.json({"folder": where, "finished": done})
    return 0 if done else EXIT_CODES[caught[0]]


def serve(command: Serve, printer: Printer) -> int:
    zoo.find(command.model, command.loading.revision)
    prompt = clean(command.prompt)
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
            command.model, command.loading, stream=command.stream, seats=config.seats
        ),
        replace(config, token=token),
        Controls.of(command.stream, prompt),
        command.model,
        turn_password=os.environ.get("SIDESTREAM_TURN_PASSWORD"),
        say=printer.say,
    )
    printer.json({"sessions": counts})
    return 0


def _made(target: str) -> tuple[Fit, FileOptions]:
    """How a result shows which part of its source, by its own settings where it has any."""
    from sidestream.media.metadata import read_metadata

    metadata = read_metadata(target)
    if "settings" not in metadata:
        return "crop", FileOptions()
    part = FileOptions.of(metadata, target)
    if part.compare != "none":
        raise ConfigError(
            f"{target} shows the input beside the result: measure one made without --compare"
        )
    if part.start or part.duration is not None:
        end = "its end" if part.duration is None else f"{part.start + part.duration:g} s"
        complain(
            f"{target} is compared with its source from {part.start:g} s to {end}, as it was made"
        )
    return Recipe.of(metadata, target).stream.fit, part


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

    quiet_libraries()
    return Stylizer.load(model, config)


def _studio(model: str, config: ModelConfig, **how: Any) -> Studio:
    from sidestream.live.process import open_studio

    return open_studio(model, config, **how)


def _conclude(printer: Printer, report: Report, where: str, caught: Sequence[Signals]) -> int:
    for warning in report.warnings:
        complain(f"warning: {warning}")
    printer.say(
        f"{_frames(report.frames_out)} in {report.wall_seconds:.1f} s: {report.fps:.1f} fps"
        f" ({report.step_fps:.1f} in rendering alone), in {where}"
    )
    printer.json(asdict(report))
    if not report.stopped:
        return 0
    done = _frames(report.frames_out)
    if report.frames_expected is not None:
        done = f"{report.frames_out} of {_frames(report.frames_expected)}"
    complain(f"stopped after {done}; {where} holds them")
    return EXIT_CODES[caught[0]]


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
