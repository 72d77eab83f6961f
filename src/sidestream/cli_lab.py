"""The commands that measure and train, one function each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import tee, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.config import Fit, ModelConfig, Size
from sidestream.console import (
    EXIT_CODES,
    Printer,
    complain,
    counted,
    progress_bar,
    quiet_libraries,
    stages,
    stopping,
)
from sidestream.errors import ConfigError
from sidestream.flags import (
    Bench,
    Eval,
    Metrics,
    Train,
)
from sidestream.models import zoo
from sidestream.recipe import FileOptions, Recipe

if TYPE_CHECKING:
    from sidestream.doctor import Load
    from sidestream.types import Pixels, Record


def metrics(command: Metrics, printer: Printer) -> int:
    from sidestream.eval.metrics import MEANINGS, measure
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
            f"{command.source} has {counted(counts[0])} and {command.target} {counts[1]}:"
            f" the first {min(counts)} of both are compared"
        )
    printer.table([{name: f"{value:.3f}" for name, value in measured.items()}])
    for name in measured:
        printer.say(f"{name}: {MEANINGS[name]}")
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
