"""A take made again, as files are: every frame, with the controls that held when it came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path

from sidestream.console import Progress
from sidestream.errors import ConfigError, ModelError
from sidestream.live.take import PART, Change, controls_at, read_changes, source_of
from sidestream.media.metadata import read_metadata
from sidestream.media.open import open_source
from sidestream.media.pixels import as_needed
from sidestream.models import components, zoo
from sidestream.recipe import Again, FileOptions, Recipe
from sidestream.report import Meter, Report
from sidestream.restyle import check, deliver, result, settled
from sidestream.stylizer import OpenStream, Stylizer
from sidestream.types import Controls, Frame

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Take:
    """A take, and how it is to be made again."""

    folder: Path
    source: Path
    recipe: Recipe
    changes: tuple[Change, ...]
    """With what is different this time."""

    @classmethod
    def read(cls, folder: Path, again: Again) -> Take:
        source = source_of(folder)
        recipe = Recipe.of(read_metadata(folder), str(folder))
        _check_taken(folder, recipe, again)
        recipe = again.applied(recipe)
        changes = tuple(
            replace(change, controls=_controls(change.controls, recipe, again))
            for change in read_changes(folder)
        )
        return cls(folder, source, settled(recipe), changes)

    @property
    def warnings(self) -> list[str]:
        return [f"the recording of {self.folder} was cut off"] if self.source.name == PART else []

    def check(self, target: str | PathLike[str], options: FileOptions) -> None:
        """Refuses, before a model is loaded, what can be seen to fail."""
        check(self.source, target, self.recipe, options)
        entry = zoo.find(self.recipe.model, self.recipe.loading.revision)
        if self.recipe.loading.offline and not components.is_here(entry):
            raise ModelError(
                f"{entry.name}, with which {self.folder} was made, is not on this machine: give"
                f" --model {entry.name}, without --offline, to fetch it"
            )

    def perform(self, frames: Iterator[Frame], opened: OpenStream) -> Iterator[Frame]:
        """Sets the controls of each frame by its time since the first one of the take, even where only a part is made."""
        for frame in frames:
            controls = controls_at(self.changes, _since_begin(frame))
            if replace(controls, revision=opened.controls.revision) != opened.controls:
                opened.controls = controls
            yield frame


def retake(
    stylizer: Stylizer,
    take: Take,
    target: str | PathLike[str],
    options: FileOptions = FileOptions(),
    *,
    progress: Progress = lambda done, expected: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Makes a take again, the same every time. The stylizer is the one that its recipe asks for."""
    recipe, first = take.recipe, take.changes[0].controls
    for change in take.changes:
        stylizer.built.model.read(change.controls)
    meter = Meter(stylizer.built)
    with (
        open_source(
            take.source,
            start=options.start,
            duration=options.duration,
            strict=options.strict,
            smaller=as_needed(recipe.stream, stylizer.built.entry.pixels),
        ) as source,
        stylizer.open(first.prompt, recipe.stream) as opened,
        result(target, source, take.source, recipe, options, stylizer.built.entry.pixels) as sink,
    ):
        stopped = deliver(
            opened,
            source,
            sink.write,
            take.perform,
            expected=source.expected_frames,
            progress=progress,
            stop=stop,
        )
    return meter.report(
        sink.frames,
        expected=source.expected_frames,
        configuration={
            "take": fspath(take.folder),
            "changes": len(take.changes),
            **asdict(options),
            **recipe.configuration(),
        },
        warnings=[*take.warnings, *stylizer.built.notes, *source.warnings, *sink.warnings],
        stopped=stopped,
    )


def _since_begin(frame: Frame) -> int:
    """A take's own times begin at 0."""
    return round(Fraction(frame.pts) * frame.time_base * MICROSECONDS)


def _controls(controls: Controls, recipe: Recipe, again: Again) -> Controls:
    return replace(
        controls,
        size=recipe.stream.size,
        fit=recipe.stream.fit,
        steps=controls.steps if again.steps is None else again.steps,
        seed=controls.seed if again.seed is None else again.seed,
    )


def _check_taken(folder: Path, recipe: Recipe, again: Again) -> None:
    """A take may come from anybody: it chooses among models by name, and brings no code and no download."""
    if again.model is None and recipe.model not in zoo.MODELS:
        raise ConfigError(
            f"{folder} was made with model {recipe.model!r}: give `--model` yourself to use it"
        )
    if recipe.loading.adapter not in ("none", "default"):
        raise ConfigError(
            f"{folder} was made with the adapter {recipe.loading.adapter!r}: only a model's own is taken from a take"
        )
