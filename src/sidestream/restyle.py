"""One video in, one video out: source, stream and sink put together, each in a lane of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from os import PathLike, fspath
from pathlib import Path

from sidestream.build import auto_batch
from sidestream.config import BATCH_SIZES, Size, StreamConfig
from sidestream.console import Progress
from sidestream.cues import Cues, cued
from sidestream.errors import ConfigError, ModelError
from sidestream.media.open import open_source
from sidestream.media.pixels import as_needed, fitted_size
from sidestream.media.sink import VideoSink, check_output, open_sink
from sidestream.media.target import target
from sidestream.media.video import VideoSource
from sidestream.models import zoo
from sidestream.models.components import check_header
from sidestream.prefetch import ahead, behind
from sidestream.recipe import FileOptions, Recipe
from sidestream.report import Meter, Report
from sidestream.stylizer import OpenStream, Stylizer
from sidestream.types import Controls, Frame, Styled

Place = str | PathLike[str]
Direct = Callable[[Iterator[Frame], OpenStream], Iterator[Frame]]
"""Hands frames on, and sets the controls of the stream before the frame that they are for."""
BENT = 1.1
"""Scaling back to the source may stretch one side by this much more than the other, not more."""


def check(
    source_path: Place, target_path: Place, recipe: Recipe, options: FileOptions = FileOptions()
) -> None:
    """Refuses, before a model is loaded, what can be seen to fail."""
    entry = zoo.find(recipe.model, recipe.loading.revision)
    _check_adapter(recipe.loading.adapter)
    target(target_path, Path(source_path), overwrite=options.overwrite)
    with open_source(source_path, start=options.start, duration=options.duration) as source:
        check_output(
            target_path, expected_frames=source.expected_frames, faststart=options.faststart
        )
        output_size(source, recipe.stream, options, entry.pixels)


def restyle(
    stylizer: Stylizer,
    source_path: Place,
    target_path: Place,
    recipe: Recipe,
    options: FileOptions = FileOptions(),
    *,
    progress: Progress = lambda done, expected: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Restyles a file. The stylizer is the one that the recipe asks for.

    After an error nothing is left under the target's name; once `stop` says so, it holds what is done.
    """
    recipe = settled(recipe)
    meter = Meter(stylizer.built)
    with (
        open_source(
            source_path,
            start=options.start,
            duration=options.duration,
            strict=options.strict,
            smaller=as_needed(recipe.stream, stylizer.built.entry.pixels),
        ) as source,
        begin(stylizer, recipe) as opened,
        result(
            target_path, source, source_path, recipe, options, stylizer.built.entry.pixels
        ) as sink,
    ):
        stopped = deliver(
            opened,
            source,
            sink.write,
            directed(recipe.prompt),
            expected=source.expected_frames,
            progress=progress,
            stop=stop,
        )
    unused: list[str] = []
    if isinstance(recipe.prompt, Cues) and not stopped:
        unused = recipe.prompt.unused(float(sink.frames / source.rate))
    return meter.report(
        sink.frames,
        expected=source.expected_frames,
        configuration={"source": fspath(source_path), **asdict(options), **recipe.configuration()},
        warnings=[*stylizer.built.notes, *source.warnings, *sink.warnings, *unused],
        stopped=stopped,
    )


def settled(recipe: Recipe) -> Recipe:
    """With the batch size that is used where none was asked for, which the pixels depend on."""
    batch = recipe.stream.batch or auto_batch(live=False)
    return replace(recipe, stream=replace(recipe.stream, batch=batch))


def begin(stylizer: Stylizer, recipe: Recipe) -> OpenStream:
    """A stream for the recipe; a prompt of any cue that the model cannot read is refused here."""
    if isinstance(recipe.prompt, str):
        return stylizer.open(recipe.prompt, recipe.stream)
    for cue in recipe.prompt.cues:
        stylizer.built.model.read(Controls(prompt=cue.prompt))
    return stylizer.open(recipe.prompt.cues[0].prompt, recipe.stream)


def directed(prompt: str | Cues) -> Direct:
    """What a prompt, or prompts by time, say while frames go in."""
    if isinstance(prompt, Cues):
        return lambda frames, opened: cued(frames, opened, prompt)
    return lambda frames, opened: frames


def deliver(
    opened: OpenStream,
    frames: Iterable[Frame],
    write: Callable[[Styled], object],
    direct: Direct,
    *,
    expected: int | None,
    progress: Progress,
    stop: Callable[[], bool],
) -> bool:
    """Decoding runs ahead and writing behind, so that neither lies between two batches. True: it was stopped."""
    with (
        # The writer may be a whole batch behind: a batch's frames all come at once.
        behind(write, BATCH_SIZES[-1]) as put,
        # Closed here, since its lanes read the source, which is about to be closed.
        closing(opened.run(direct(ahead(frames), opened))) as restyled,
    ):
        for done, styled in enumerate(restyled, 1):
            put(styled)
            progress(done, expected)
            if stop():
                return True
    return False


def _check_adapter(name: str) -> None:
    if name in ("none", "default"):
        return
    try:
        check_header(Path(name))
    except OSError as error:
        raise ModelError(
            f"the adapter {name} cannot be read ({error.strerror}): give none, default or a .safetensors file"
        ) from error


def result(
    target_path: Place,
    source: VideoSource,
    source_path: Place,
    recipe: Recipe,
    options: FileOptions,
    pixels: int,
) -> VideoSink:
    """What a source is restyled into; `pixels` is the model's own number of them."""
    return open_sink(
        target_path,
        size=output_size(source, recipe.stream, options, pixels),
        rate=source.rate,
        source_path=source_path,
        metadata=recipe.metadata(options),
        overwrite=options.overwrite,
        faststart=options.faststart,
        crf=options.crf,
        compare=options.compare == "side",
    )


def output_size(
    source: VideoSource, stream: StreamConfig, options: FileOptions, budget_pixels: int
) -> Size:
    working = fitted_size(source.width, source.height, stream, budget_pixels)
    if options.output_size == "working":
        return working
    bent = (working.width * source.height) / (working.height * source.width)
    if stream.fit != "stretch" and not 1 / BENT <= bent <= BENT:
        raise ConfigError(
            f"a working size of {working} cannot be scaled back to {source.width}x{source.height}"
            " without distortion: use --fit stretch, or another --size"
        )
    return Size(source.width, source.height)
