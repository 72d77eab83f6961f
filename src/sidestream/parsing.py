"""From what is typed to a command: flags win over what `--like` and `--point` give, and mistakes are one sentence."""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import tyro
from tyro.conf import OmitArgPrefixes
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sidestream import __version__
from sidestream.config import (
    ModelConfig,
    Schedule,
    Size,
    StreamConfig,
    TrainConfig,
    either,
    operating_point,
)
from sidestream.config_live import LiveConfig, ServerConfig, ShowConfig
from sidestream.cues import Cues
from sidestream.errors import ConfigError, SidestreamError
from sidestream.flags import (
    COMMANDS,
    Bench,
    Command,
    Demo,
    Eval,
    Live,
    Render,
    Stylize,
    Train,
)
from sidestream.models import zoo
from sidestream.models.instruct.template import clean
from sidestream.recipe import Again, FileOptions, Recipe

_BOX = str.maketrans("│╭╮╰╯─", "      ")
_NO_NUMBER = re.compile(
    r"Error parsing (?P<flag>--[\w-]+):.*?"
    r" (?:(?P<whole>invalid literal for int\(\) with base 10)|could not convert string to float):"
    r" (?P<given>'[^']*')"
)
_NO_CHOICE = re.compile(
    r"invalid choice (?P<given>'[^']*') for argument '(?P<flag>[\w-]+)'\. Expected one of \((?P<known>[^)]*)\)"
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
    recipe, own = _recipe_of(command.like), command.loading
    loading = replace(
        recipe.loading,
        device=own.device,
        compile=own.compile,
        capture=own.capture,
        fp8=own.fp8,
        int8=own.int8,
        flow_threads=own.flow_threads,
        offline=own.offline,
        revision=own.revision,
    )
    base = replace(command, stream=recipe.stream, loading=loading, model=recipe.model)
    like = cast(Stylize, _parse(arguments, base))
    if like.model != command.model:
        _check_taken(command.like, "model", like.model, zoo.MODELS)
    if like.loading.adapter != own.adapter:
        _check_taken(command.like, "adapter", like.loading.adapter, ("none", "default"))
    return like


def prompt_of(command: Stylize | Live) -> str | Cues:
    if command.prompt and command.cues:
        raise ConfigError("--prompt and --cues both say how the picture should look: give one")
    if command.cues:
        return Cues.read(command.cues)
    if command.prompt:
        return clean(command.prompt)
    if isinstance(command, Live):
        raise ConfigError("how should the picture look? Give --prompt or --cues")
    if command.like:
        prompt = _recipe_of(command.like).prompt
        return clean(prompt) if isinstance(prompt, str) else prompt
    raise ConfigError("how should the picture look? Give --prompt, --cues or --like")


def notes_of(command: Stylize) -> Iterator[str]:
    """What follows from --like and might surprise."""
    if command.like is None:
        return
    if command.model != Stylize.model:
        yield f"the model is {command.model}"
    if command.prompt and isinstance(_recipe_of(command.like).prompt, Cues):
        yield f"--prompt is taken in place of the cues in {command.like}"


def _check_taken(path: Path, name: str, value: str, known: Collection[str]) -> None:
    """A file may come from anybody: it chooses among what is known, and brings no code and no download."""
    if value not in known:
        raise ConfigError(
            f"{path} was made with {name} {value!r}: give `--{name} {shlex.quote(value)}` yourself to use it"
        )


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
                raise type(cause)(_as_typed(str(cause))) from None
            cause = cause.__context__
        if sentence := _plainly(said.getvalue(), arguments):
            raise ConfigError(sentence) from None
        sys.stderr.write(said.getvalue())
        raise


def _plainly(said: str, arguments: Sequence[str]) -> str:
    """What tyro refuses in the words of a programmer, in one sentence; empty where it says it well."""
    text = " ".join(said.translate(_BOX).split())
    if found := _NO_NUMBER.search(text):
        kind = "a whole number" if found["whole"] else "a number"
        return f"{found['flag']} must be {kind}, got {found['given']}"
    if found := _NO_CHOICE.search(text):
        flag = found["flag"]
        place = flag if flag.startswith("-") else f"what follows `{arguments[0]}`"
        known = either(re.findall(r"'([^']*)'", found["known"]))
        return f"{place} must be {known}, got {found['given']}"
    return ""


def _as_typed(sentence: str) -> str:
    """A sentence about a setting, which begins with its name, with the flag's name."""
    name, space, rest = sentence.partition(" ")
    kinds = (
        Demo,
        Eval,
        Bench,
        Train,
        Live,
        Render,
        ShowConfig,
        LiveConfig,
        Again,
        TrainConfig,
        ServerConfig,
        FileOptions,
        StreamConfig,
        Schedule,
        ModelConfig,
    )
    settings = {field.name for kind in kinds for field in fields(kind)}
    return f"--{name.replace('_', '-')}{space}{rest}" if name in settings else sentence


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
