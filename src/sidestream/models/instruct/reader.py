"""Prompts as a model's tokenizer counts them, for a process without the model: no torch, no network."""

from __future__ import annotations

from pathlib import Path

from sidestream.models import zoo
from sidestream.models.instruct.template import Template, clean

FILES = ("tokenizer/tokenizer.json", "processor/tokenizer.json")


class Reader:
    """Owns the tokenizer, from when it is on this machine; until then the model alone can count tokens."""

    def __init__(self, entry: zoo.Entry, revision: str | None = None) -> None:
        self._entry = entry
        self._revision = revision
        self._template = Template.stand_in() if entry.weights is None else None

    def read(self, prompt: str) -> str:
        """The prompt as the model will see it; PromptError for one that it would refuse."""
        text = clean(prompt)
        if self._template is None and (path := self._path()) is not None:
            self._template = counting(path)
        if self._template is not None:
            self._template.ids(text)
        return text

    def _path(self) -> Path | None:
        weights = self._entry.weights
        if isinstance(weights, Path):
            return next((weights / name for name in FILES if (weights / name).is_file()), None)
        if isinstance(weights, zoo.Remote):
            from huggingface_hub import try_to_load_from_cache

            revision = self._revision or weights.revision
            for name in FILES:
                found = try_to_load_from_cache(weights.repository, name, revision=revision)
                if isinstance(found, str):
                    return Path(found)
        return None


def counting(path: Path) -> Template:
    """A template that knows how long a prompt is, and nothing of what stands around it."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception:  # noqa: BLE001 - the library raises nothing narrower; who loads the model says what is wrong
        return Template((), lambda prompt: (), ())
    tokenizer.encode_special_tokens = True  # what users typed stays text
    return Template.counting(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
