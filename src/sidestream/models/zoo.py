"""Models by name: where their weights come from, what they may be used for, and at what size they are at home."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from sidestream.errors import ConfigError, ModelError
from sidestream.models import nano


@dataclass(frozen=True)
class Licence:
    name: str
    free: bool
    notice: str = ""


@dataclass(frozen=True)
class Remote:
    """A repository on the hub."""

    repository: str
    revision: str | None = None


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository on the hub, known by its hash."""

    repository: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    name: str
    about: str
    licence: Licence
    pixels: int
    """Pixels a frame at the model's own size."""
    weights: Remote | Path | None = None
    """A folder in diffusers layout, on the hub or here. None: built in memory."""
    adapter: RemoteFile | Path | None = None
    vision_size: int = 256
    """Side of the picture that the encoder looks at."""


ADAPTER, SIZES = "adapter.safetensors", "sizes.json"
"""Files that a model's folder may hold beside its components."""

APACHE = Licence("Apache-2.0", free=True)
DREAMLITE = Licence(
    "CC BY-NC 4.0",
    free=False,
    notice="non-commercial research only, under DreamLite's content policy",
)

MODELS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "nano",
            "small model that comes with the package, for any laptop: five painted styles and some grades",
            APACHE,
            pixels=256 * 256,
            weights=nano.FOLDER,
            adapter=nano.FOLDER / ADAPTER,
            vision_size=nano.VISION_SIZE,
        ),
        Entry(
            "dreamlite-mobile",
            "DreamLite-mobile with Qwen3-VL-2B, 0.39 B + 2.1 B parameters",
            DREAMLITE,
            pixels=512 * 512,
            weights=Remote("carlofkl/DreamLite-mobile", "diffusers"),
            adapter=RemoteFile(
                "otnl/dreamlite-stream-temporal-lllite-v3",
                "temporal_lllite_step001440.safetensors",
                "88082c6bf56770469ad4ecbbca467b315ffcf4b5287fd17733751e2952fee7fc",
            ),
        ),
        Entry(
            "twin",
            "DreamLite-mobile at its exact size with random weights, for benchmarks",
            APACHE,
            pixels=512 * 512,
        ),
    )
}

UNKNOWN = Licence("unknown", free=False, notice="see the licence that came with the weights")


def find(name: str, revision: str | None = None) -> Entry:
    """A model by name, folder or hub id `owner/name`; only what is on the hub has a revision."""
    if (entry := _here(name)) is not None:
        if revision is not None and not isinstance(entry.weights, Remote):
            raise ConfigError(
                f"only a model on the hub has a revision, and {name} is {'built in' if name in MODELS else 'a folder'}:"
                " leave the revision out"
            )
        return entry
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return Entry(name, "a hub repository", UNKNOWN, 512 * 512, Remote(name, revision))
    raise ModelError(
        f"there is no model {name!r}: give one of {', '.join(MODELS)}, a folder in diffusers layout, "
        "or a hub id like owner/name"
    )


def _here(name: str) -> Entry | None:
    if name in MODELS:
        return MODELS[name]
    try:
        found = Path(name).is_dir()
    except OSError:  # longer than a name can be
        return None
    return _of_folder(Path(name)) if found else None


def _of_folder(folder: Path) -> Entry:
    """What is known of a model in a folder; nano trained anew says there at what sizes it is at home."""
    adapter = folder / ADAPTER
    entry = Entry(str(folder), "a folder", UNKNOWN, 512 * 512, folder)
    return replace(
        entry,
        adapter=adapter if adapter.is_file() else None,
        **_sizes(folder / SIZES),
    )


def _sizes(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        sizes = {name: int(found[name]) for name in ("pixels", "vision_size")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} must be a JSON object with whole numbers for pixels and vision_size"
        ) from error
    if sizes["pixels"] < 32 * 32 or sizes["vision_size"] % 32 or sizes["vision_size"] < 32:
        raise ModelError(
            f"{path} must give 1024 pixels or more and a vision_size that is a multiple of 32, got {sizes}"
        )
    return sizes


@cache
def announce(name: str, licence: Licence) -> None:
    """Says once a process what non-free weights may be used for."""
    if not licence.free:
        known = "of unknown licence" if licence is UNKNOWN else f"licensed {licence.name}"
        sys.stderr.write(f"The weights of {name!r} are {known}: {licence.notice}.\n")
