"""The sample clip restyled in one pass, alone and beside its input."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from sidestream.console import Progress
from sidestream.errors import SinkError
from sidestream.media.sink import open_sink
from sidestream.recipe import Recipe
from sidestream.report import Meter, Report
from sidestream.restyle import begin, deliver, directed, settled
from sidestream.stylizer import Stylizer
from sidestream.synth.scenes import demo_clip
from sidestream.types import Styled

RATE = 24
ALONE, SIDE = "sidestream-demo.mp4", "sidestream-demo-side.mp4"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"the folder {folder} cannot be made ({error.strerror})") from error


def restyle_demo(
    stylizer: Stylizer,
    recipe: Recipe,
    folder: Path,
    seconds: float,
    *,
    progress: Progress = lambda done, expected: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[list[Path], Report]:
    """Writes the result and the result beside its input to a folder, replacing those of an earlier demo."""
    assert recipe.stream.size is not None
    recipe, size = settled(recipe), recipe.stream.size
    files = {folder / ALONE: False, folder / SIDE: True}
    expected = round(seconds * RATE)
    meter = Meter(stylizer.built)
    with begin(stylizer, recipe) as opened, ExitStack() as stack:
        sinks = [
            stack.enter_context(
                open_sink(
                    path,
                    size=size,
                    rate=Fraction(RATE),
                    metadata=recipe.metadata(),
                    overwrite=True,
                    compare=compare,
                )
            )
            for path, compare in files.items()
        ]

        def write(styled: Styled) -> None:
            for sink in sinks:
                sink.write(styled)

        stopped = deliver(
            opened,
            demo_clip(size, seconds, RATE),
            write,
            directed(recipe.prompt),
            expected=expected,
            progress=progress,
            stop=stop,
        )
    return list(files), meter.report(
        sinks[0].frames,
        expected=expected,
        configuration={"source": "demo clip", **recipe.configuration()},
        warnings=[*stylizer.built.notes, *sinks[0].warnings],
        stopped=stopped,
    )
