"""The parts of an edit model as the libraries that own their classes load them: safetensors only, one by one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sidestream.config import LIMITS
from sidestream.errors import ModelError
from sidestream.models import zoo

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderTiny, DreamLiteUNetModel
    from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

LAYOUT = "unet, vae, text_encoder, tokenizer (or processor) and scheduler"
CLASSES = {
    "unet": ("_class_name", "DreamLiteUNetModel"),
    "vae": ("_class_name", "AutoencoderTiny"),
    "text_encoder": ("model_type", "qwen3_vl"),
}
CODE = ("auto_map", "quantization_config", "attn_implementation", "_attn_implementation")
"""Entries of a configuration that make a library load code or kernels from elsewhere."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, eq=False)
class Components:
    unet: DreamLiteUNetModel
    vae: AutoencoderTiny
    text_encoder: Qwen3VLForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase | None
    """None for a model that has no vocabulary of its own (twin)."""
    scheduler: Mapping[str, Any]
    """The flow-match scheduler's configuration."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Components:
        """Ready to run: convolutions with channels last, the layout that attention reads without a copy."""
        import torch
        from torch import nn

        # Not the libraries' own `to`: theirs warn of modules to keep in float32, of which these have none.
        move: Any = nn.Module.to
        for module in (self.unet, self.vae, self.text_encoder):
            move(module, device=device, dtype=dtype)
            module.eval().requires_grad_(False)
        for module in (self.unet, self.vae):
            move(module, memory_format=torch.channels_last)
        return self


def load(folder: Path, dtype: torch.dtype, device: torch.device) -> Components:
    """All components of a folder in diffusers layout."""
    from diffusers import AutoencoderTiny, DreamLiteUNetModel
    from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

    for part in CLASSES:
        _check_part(folder, part)
    scheduler = _read_json(folder / "scheduler" / "scheduler_config.json", folder)
    words = next(
        (folder / name for name in ("tokenizer", "processor") if (folder / name).is_dir()), None
    )
    if words is None:
        raise ModelError(f"{folder} has no tokenizer: a model folder holds {LAYOUT}")
    with _one_sentence(words):
        tokenizer = AutoTokenizer.from_pretrained(
            words, local_files_only=True, trust_remote_code=False
        )
    parts = Components(
        # The libraries would ask for accelerate, which saves memory while loading and is not needed here.
        _module(
            DreamLiteUNetModel.from_pretrained,
            folder / "unet",
            torch_dtype=dtype,
            low_cpu_mem_usage=False,
        ),
        _module(
            AutoencoderTiny.from_pretrained,
            folder / "vae",
            torch_dtype=dtype,
            low_cpu_mem_usage=False,
        ),
        _module(
            Qwen3VLForConditionalGeneration.from_pretrained,
            folder / "text_encoder",
            dtype=dtype,
            attn_implementation="sdpa",
        ),
        tokenizer,
        scheduler,
    )
    return parts.to(device, dtype)


def download(repository: str, revision: str | None, *, offline: bool) -> Path:
    """The repository's folder on this machine, fetched with progress and resumed where it was broken off."""
    from huggingface_hub import snapshot_download

    with hub_sentences(repository, revision, offline):
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"],
                local_files_only=offline,
            )
        )


def is_here(entry: zoo.Entry) -> bool:
    """Whether a model can be loaded without a download."""
    if not isinstance(entry.weights, zoo.Remote):
        return True
    try:
        folder = download(entry.weights.repository, entry.weights.revision, offline=True)
    except ModelError:
        return False
    return all(any((folder / part).glob("*.safetensors")) for part in CLASSES)


def download_file(repository: str, file: str, sha256: str, *, offline: bool) -> Path:
    """One file of a repository, refused when it is not the very file that was asked for."""
    from huggingface_hub import hf_hub_download

    with hub_sentences(repository, None, offline):
        path = Path(hf_hub_download(repository, file, local_files_only=offline))
    check_hash(path, sha256)
    return path


def check_hash(path: Path, sha256: str) -> None:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path} has SHA-256 {found[:12]}..., expected {sha256[:12]}...: remove it and download it again"
        )


@contextmanager
def hub_sentences(repository: str, revision: str | None, offline: bool) -> Generator[None]:
    """Turns what the hub's client raises into one sentence each."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError:
        raise ModelError(
            f"{repository} is gated: accept its terms on its page and log in with `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"there is no public repository {repository} on the hub: check the name, or log in if it is private"
        ) from None
    except RevisionNotFoundError:
        raise ModelError(f"{repository} has no revision {revision!r}: check the name") from None
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        why = "downloads are off" if offline else "the hub could not be reached"
        raise ModelError(
            f"{repository} is not on this machine and {why}: connect once without --offline, or give a folder in diffusers layout"
        ) from error


def _check_part(folder: Path, part: str) -> None:
    place = folder / part
    if not place.is_dir():
        raise ModelError(f"{folder} has no {part}: a model folder holds {LAYOUT}")
    key, expected = CLASSES[part]
    config = _read_json(place / "config.json", folder)
    for asked in CODE:
        if asked in config:
            raise ModelError(
                f"{place} asks for {asked}, which can run code of others: remove it from config.json"
            )
    found = config.get(key)
    if found != expected:
        raise ModelError(
            f"{place} holds a {found}, expected a {expected}: is this a DreamLite model?"
        )
    weights = sorted(place.glob("*.safetensors"))
    if not weights:
        pickled = [path.name for pattern in PICKLES for path in sorted(place.glob(pattern))]
        if pickled:
            raise ModelError(
                f"{place} holds {pickled[0]}, a pickle that can run code: convert it to safetensors"
            )
        raise ModelError(f"{place} has no weights: expected a .safetensors file")
    for path in weights:
        check_header(path)


def check_header(path: Path) -> None:
    """Refuses a file whose header cannot be that of sane safetensors, before any library reads it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(LIMITS.max_safetensors_header, path.stat().st_size - 8):
        raise ModelError(f"{path} is not a whole safetensors file: download it again")


def _read_json(path: Path, folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder} has no {path.parent.name}/{path.name}: a model folder holds {LAYOUT}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: download it again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} must hold a JSON object: download it again")
    return cast("dict[str, Any]", found)


def _module(from_pretrained: Callable[..., Any], place: Path, **settings: Any) -> Any:
    """A module with every weight found: what the file lacks would silently stay random."""
    with _one_sentence(place):
        module, info = from_pretrained(
            place, use_safetensors=True, local_files_only=True, output_loading_info=True, **settings
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{place} lacks {len(missing)} weights, first {missing[0]}: download it again"
        )
    return module


@contextmanager
def _one_sentence(place: Path) -> Generator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (
        SafetensorError,
        ImportError,
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise ModelError(
            f"{place} cannot be loaded ({_first_line(error)}): download it again"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
