"""From a user's words to token ids: what is refused, the edit template, the lengths that text is padded to."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sidestream.config import LIMITS
from sidestream.errors import ModelError, PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM = (
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then"
    " explain how the user's text instruction should alter or modify the image. Generate a new image that"
    " meets the user's requirements while maintaining consistency with the original input where appropriate."
)
DECORATION = (
    "[Edit]: A diptych with two side-by-side images of the same scene. Compared to the right side, the left"
    " one has"
)
BEFORE = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
VISION = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
AFTER = "<|im_end|>\n<|im_start|>assistant\n"

BUCKET = 16
REMEMBERED = 1024
"""Prompts whose ids a template keeps."""

TURNING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
"""Classes of Unicode's characters for embedding and overriding text of the other direction."""

_MARKUP = re.compile(r"<\|[^|>]*\|>")


def clean(prompt: str) -> str:
    """The prompt as the model may see it: one line of normalised text without markup of the template's kind."""
    words = " ".join(prompt.split())
    kept = "".join(c for c in words if not _is_hidden(c))
    text = unicodedata.normalize("NFC", kept)
    if len(text) > LIMITS.prompt_characters:
        raise _too_long(len(text), LIMITS.prompt_characters, "characters")
    # A space, not nothing, and again until none is left: pieces around a removed mark must not form a new one.
    while _MARKUP.search(text):
        text = _MARKUP.sub(" ", text)
    text = " ".join(text.split())
    if not text:
        raise PromptError(
            f"the prompt is empty, got {prompt[:40]!r}: say how the picture should look"
        )
    return text


def _is_hidden(character: str) -> bool:
    """Control characters, halves of pairs, and what turns the direction of the text around it."""
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or unicodedata.bidirectional(character) in TURNING
    )


class Template:
    """The constant ids around a prompt, and the ids of prompts asked for lately.

    The whole text is `prefix_ids`, <|vision_start|>, one <|image_pad|> a picture token, <|vision_end|>, `ids(prompt)`.
    """

    def __init__(
        self,
        prefix_ids: Sequence[int],
        decorated: Callable[[str], Sequence[int]],
        tail_ids: Sequence[int],
    ) -> None:
        """`decorated` gives the ids of the decoration and the prompt after it, as one run."""
        self.prefix_ids = tuple(prefix_ids)
        self._decorated = decorated
        self._tail_ids = tuple(tail_ids)
        self._decoration_length = len(decorated(""))
        self._remembered = lru_cache(REMEMBERED)(self._tokenise)

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Template:
        """Reads the constant parts off a tokenizer that knows Qwen's special tokens."""

        def tokens(text: str, *, plain: bool) -> list[int]:
            return tokenizer(text, add_special_tokens=False, split_special_tokens=plain)[
                "input_ids"
            ]

        vision = [tokenizer.convert_tokens_to_ids(token) for token in VISION]
        ids = tokens(BEFORE + "".join(VISION) + AFTER, plain=False)
        at = ids.index(vision[0]) if vision[0] in ids else 0
        if ids[at : at + 3] != vision:
            raise ModelError(
                f"the tokenizer must know {', '.join(VISION)}, got {vision}: use that of a Qwen3-VL model"
            )
        # What users typed is read with special tokens split, so that it stays text.
        return cls(
            prefix_ids=ids[:at],
            decorated=lambda prompt: tokens(_decorated(prompt), plain=True),
            tail_ids=ids[at + 3 :],
        )

    @classmethod
    def counting(cls, plain: Callable[[str], Sequence[int]]) -> Template:
        """To count with: nothing is known of what stands around a prompt. `plain` gives the ids of a text."""
        return cls((), lambda prompt: plain(_decorated(prompt)), ())

    @classmethod
    def stand_in(cls) -> Template:
        """For a model without a vocabulary: made-up ids in the real one's numbers (64, 27 and 5; 1.3 a word)."""
        return cls(
            prefix_ids=range(64),
            decorated=lambda prompt: [*range(64, 91), *_made_up_ids(prompt)],
            tail_ids=range(91, 96),
        )

    @property
    def pad(self) -> int:
        """An id to pad with; which one does not matter."""
        return self._tail_ids[-1]

    @property
    def buckets(self) -> range:
        """Every length that a prompt can be padded to."""
        fixed = self._decoration_length + len(self._tail_ids)
        longest = self.bucket(fixed + LIMITS.prompt_tokens)
        return range(self.bucket(fixed + 1), longest + 1, BUCKET)

    @staticmethod
    def bucket(length: int) -> int:
        """The length that a text of this many tokens is padded to, so that few shapes are ever compiled."""
        return -(-length // BUCKET) * BUCKET

    def ids(self, prompt: str) -> tuple[int, ...]:
        """Everything after <|vision_end|>: the decoration, the cleaned prompt, the start of the answer."""
        return self._remembered(prompt)

    def _tokenise(self, prompt: str) -> tuple[int, ...]:
        text = clean(prompt)
        decorated = self._decorated(text)
        count = len(decorated) - self._decoration_length
        if count > LIMITS.prompt_tokens:
            raise _too_long(count, LIMITS.prompt_tokens, "tokens")
        return (*decorated, *self._tail_ids)


def _decorated(prompt: str) -> str:
    return f"{DECORATION} {prompt}".rstrip()


def _made_up_ids(prompt: str) -> list[int]:
    """One id a word and a second for three in ten, the same in every process."""
    ids: list[int] = []
    for word in prompt.split():
        number = zlib.crc32(word.encode())
        ids += [1000 + number % 100_000, 500][: 2 if number % 10 < 3 else 1]
    return ids


def _too_long(given: int, most: int, what: str) -> PromptError:
    return PromptError(
        f"the prompt has {given} {what}, more than the {most} that are read: shorten it"
    )
