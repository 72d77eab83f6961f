"""nano's tokenizer: byte-level pairs learned from a corpus, without case, and the template's sentences whole.

The template's constant sentences are one token each, so that what every frame repeats costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sidestream.models.instruct.template import DECORATION, SYSTEM

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SENTENCES = (f"system\n{SYSTEM}", "user\n", DECORATION, "assistant\n")


def tokenizer(corpus: Iterable[str], size: int = 2048) -> PreTrainedTokenizerFast:
    """At most `size` tokens, Qwen's special ones among them; any Unicode text has ids; same corpus, same ids."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=size - len(SENTENCES),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # A space in front, because a prompt stands behind the decoration's last word.
    bpe.train_from_iterator((f" {text}" for text in corpus), trainer)
    bpe.add_tokens([AddedToken(sentence, normalized=False) for sentence in SENTENCES])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL_TOKENS[3:]),
    )
