"""The flags of every command, generated from dataclasses, and how they are read. Imports no heavy library."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, cast

import tyro
from tyro.conf import DisallowNone, OmitArgPrefixes, Positional, arg, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sidestream import __version__
from sidestream.config import ModelConfig, Size, StreamConfig, operating_point, within
from sidestream.cues import Cues
from sidestream.errors import ConfigError, SidestreamError
from sidestream.models.instruct.template import clean
from sidestream.recipe import FileOptions, Recipe

In = Annotated[Positional[str], arg(metavar="IN")]
Out = Annotated[Positional[str], arg(metavar="OUT")]
File = Annotated[DisallowNone[Path | None], arg(metavar="FILE")]
Text = Annotated[str, arg(metavar="TEXT")]


@dataclass(frozen=True, kw_only=True)
class Command:
    json: File = None
    """Write a machine-readable report to this file; - is the standard output."""


@dataclass(frozen=True, kw_only=True)
class Demo(Command):
    """Restyle a short sample clip, and put the result beside the input."""

    prompt: Text = "turn this into a watercolor painting"
    """How the picture should look."""
    seconds: float = 4.0
    """How much of the clip to take."""
    size: Size = Size(256, 160)
    """Working size WxH, multiples of 32."""
    output_dir: Path = Path("out")
    """Folder for the two files."""

    def __post_init__(self) -> None:
        within(0.1, 60, seconds=self.seconds)


@dataclass(frozen=True, kw_only=True)
class Stylize(Command):
    """Restyle a video: a file, an animated GIF, a folder of pictures or a pattern such as img_%04d.png."""

    source: In
    """What is restyled."""
    target: Out
    """.mp4, .mov, .mkv, .webm, .gif, or a folder (ending in /) for PNG files."""
    prompt: Text = ""
    """How the picture should look."""
    cues: File = None
    """A file of prompts with their times, in place of a prompt; a line is TIME PROMPT, such as 0:04 [fade 1.5] turn this into a watercolor."""
    like: File = None
    """A file that sidestream wrote: take its prompt, seed, model and settings; flags that are given win."""
    point: Annotated[str, arg(metavar="NAME")] = "default"
    """Operating point: default, paper, low_latency or quality; flags that are given win."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name."""
    file: FileOptions = FileOptions()
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()


@dataclass(frozen=True, kw_only=True)
class Models(Command):
    """List the models by name, their licences, and which are on this machine."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Check what works on this machine, and say what to do where something does not."""


@dataclass(frozen=True, kw_only=True)
class Metrics(Command):
    """Measure how steady and how sharp a restyled video is."""

    source: In
    """The video that was restyled."""
    target: Out
    """The result."""


COMMANDS = cast(
    type[Command],
    Annotated[Demo, subcommand("demo")]
    | Annotated[Stylize, subcommand("stylize")]
    | Annotated[Models, subcommand("models")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Metrics, subcommand("metrics")],
)


def parse(arguments: Sequence[str]) -> Command:
    """Flags win over what --like and --point give, so with these all is parsed once more on top of them."""
    command = _parse(arguments)
    if not isinstance(command, Stylize) or (command.like is None and command.point == "default"):
        return command
    if command.like is None:
        return _parse(arguments, replace(command, stream=operating_point(command.point)))
    if command.point != "default":
        raise ConfigError("--like and --point both choose the settings: give one of them")
    recipe = _recipe_of(command.like)
    base = replace(command, stream=recipe.stream, loading=recipe.loading, model=recipe.model)
    return _parse(arguments, base)


def prompt_of(command: Stylize) -> str | Cues:
    if command.prompt and command.cues:
        raise ConfigError("--prompt and --cues both say how the picture should look: give one")
    if command.cues:
        return Cues.read(command.cues)
    if command.prompt:
        return clean(command.prompt)
    if command.like:
        return _recipe_of(command.like).prompt
    raise ConfigError("how should the picture look? Give --prompt, --cues or --like")


def _parse(arguments: Sequence[str], default: Command | None = None) -> Command:
    """What tyro refuses leaves as it says it; what a setting refuses comes through tyro as its one sentence."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(
                COMMANDS,
                prog="sidestream",
                description=f"Prompt-driven restyling of live video. This is sidestream {__version__} (--version).",
                args=arguments,
                default=tyro.MISSING_NONPROP if default is None else default,
                config=(OmitArgPrefixes,),
                registry=_with_sizes(),
            )
    except SystemExit as stop:
        cause = stop.__context__
        while cause is not None:
            if isinstance(cause, SidestreamError):
                raise cause from None
            cause = cause.__context__
        sys.stderr.write(said.getvalue())
        raise


def _with_sizes() -> ConstructorRegistry:
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def _(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Size | None] | None:
        if info.type not in (Size, Size | None):
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="WxH",
            instance_from_str=lambda given: Size.parse(given[0]),
            is_instance=lambda value: value is None or isinstance(value, Size),
            str_from_instance=lambda size: [str(size)],
        )

    return registry


def _recipe_of(path: Path) -> Recipe:
    from sidestream.media.metadata import read_metadata

    return Recipe.of(read_metadata(path), str(path))
