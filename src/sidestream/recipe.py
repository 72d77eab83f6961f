"""What a file is made from, and its way into the file's metadata and back. Imports neither torch nor any codec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from sidestream import __version__
from sidestream.config import ModelConfig, Size, StreamConfig, within
from sidestream.cues import Cues
from sidestream.errors import ConfigError
from sidestream.models import zoo

MAX_SECONDS = 10_000_000
"""Times in a video are below this."""
LONGEST = 200
"""Characters that are shown of what a file holds."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Together with the source, all that the pixels of a file depend on."""

    prompt: str | Cues
    model: str = "nano"
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()

    def settings(self) -> dict[str, Any]:
        """As JSON holds it; a size is written WxH."""
        stream = asdict(self.stream)
        stream["size"] = None if self.stream.size is None else str(self.stream.size)
        return {"stream": stream, "loading": asdict(self.loading)}

    def configuration(self) -> dict[str, Any]:
        """For reports."""
        return {"model": self.model, "prompt": str(self.prompt), **self.settings()}

    def metadata(self, options: FileOptions | None = None) -> dict[str, str]:
        """What is kept with a file; of `options`, the part of the source that it was made from."""
        return {
            "software": f"sidestream {__version__}",
            "model": self.model,
            "licence": zoo.find(self.model).licence.name,
            "cues" if isinstance(self.prompt, Cues) else "prompt": str(self.prompt),
            "seed": str(self.stream.seed),
            "settings": json.dumps({**self.settings(), **_part(options)}),
        }

    @classmethod
    def of(cls, metadata: Mapping[str, str], name: str) -> Recipe:
        """Of the metadata of a file that sidestream wrote; `name` is the file's, for what is refused."""
        if "settings" not in metadata:
            raise ConfigError(f"{name} holds no settings: give --like a file that sidestream wrote")
        try:
            settings = json.loads(metadata["settings"])
            return cls(
                prompt=Cues.parse(metadata["cues"], f"cues of {name}")
                if "cues" in metadata
                else metadata["prompt"],
                model=metadata["model"],
                stream=_typed(StreamConfig, settings["stream"]),
                loading=_typed(ModelConfig, settings["loading"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            here, there = f"sidestream {__version__}", metadata.get("software")
            why = f": it was written by {there}, this is {here}" if there != here else ""
            raise ConfigError(
                f"the settings in {name} cannot be used ({str(error)[:LONGEST]}){why}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Again:
    """What is different when a take is made again. What is left out stays as it was."""

    steps: int | None = None
    """Denoising steps K, 1 to 8, throughout. Default: as they were."""
    size: Size | None = None
    """Working size WxH, multiples of 32. Default: as it was."""
    seed: int | None = None
    """Seed of the noise, throughout. Default: as it was."""
    model: str | None = None
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name. Default: as it was."""
    batch: int | None = None
    """Frames per batch: 1, 2, 4, 8 or 16. Default: 8, as for files."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    compile: bool = False
    """Compile the model, so that it runs faster: takes seconds for every new size, or minutes on a CPU without OpenVINO (pip install openvino)."""
    offline: bool = False
    """Use only weights that are already on this machine, as is always done where no model is named."""

    def applied(self, recipe: Recipe) -> Recipe:
        stream = replace(
            recipe.stream,
            steps=recipe.stream.steps if self.steps is None else self.steps,
            size=self.size or recipe.stream.size,
            seed=recipe.stream.seed if self.seed is None else self.seed,
            batch=self.batch,
        )
        # What a take names may be used where it is here already; only what the user names is fetched.
        loading = replace(
            recipe.loading,
            device=self.device,
            compile=self.compile,
            offline=self.offline or self.model is None,
            revision=recipe.loading.revision if self.model is None else None,
        )
        return replace(recipe, stream=stream, loading=loading, model=self.model or recipe.model)


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Which part of a file is restyled, and how the result is written."""

    start: float = 0.0
    """Seconds into the source where to begin."""
    duration: float | None = None
    """Seconds of the source to take. Default: to its end."""
    strict: bool = False
    """Fail where the source is damaged. Default: take what decodes and warn."""
    overwrite: bool = False
    """Replace an existing output."""
    faststart: bool = False
    """Put the index of an .mp4 or .mov first, for the web."""
    crf: int = 18
    """Quality of the output's encoding, 0 (lossless) to 51 (worst)."""
    compare: Literal["none", "side"] = "none"
    """side: the input beside the result."""
    output_size: Literal["working", "source"] = "working"
    """Write at the working size, or scale back to the source's."""

    def __post_init__(self) -> None:
        within(0, 51, crf=self.crf)
        within(0, MAX_SECONDS, start=self.start)
        if self.duration is not None and not 0 < self.duration <= MAX_SECONDS:
            raise ConfigError(
                f"duration must be above 0 and at most {MAX_SECONDS}, got {self.duration}"
            )

    @classmethod
    def of(cls, metadata: Mapping[str, str], name: str) -> FileOptions:
        """As far as a file tells which part of its source it shows; the whole where it tells nothing."""
        try:
            return cast(
                FileOptions, _typed(cls, json.loads(metadata.get("settings", "{}")).get("file", {}))
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"the settings in {name} cannot be used ({str(error)[:LONGEST]})"
            ) from error


def _part(options: FileOptions | None) -> dict[str, Any]:
    if options is None:
        return {}
    kept = ("start", "duration", "compare")
    return {"file": {name: getattr(options, name) for name in kept}}


def _typed(kind: Any, value: Any) -> Any:
    """A value out of JSON as the type of a setting; a file may come from anybody."""
    options = get_args(kind)
    if kind is Size:
        return Size.parse(value)
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        fields = {name: _typed(kinds[name], field) for name, field in value.items()}
        return cast(Any, kind)(**fields)
    if get_origin(kind) is UnionType:  # of something and None
        return None if value is None else _typed(options[0], value)
    if get_origin(kind) is tuple:
        return tuple(_typed(options[0], item) for item in value)
    allowed = value in options if options else type(value) in (kind, int if kind is float else kind)
    if not allowed:
        raise ValueError(f"{value!r} is not {kind}")
    return value
