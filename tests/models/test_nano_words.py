"""nano's tokenizer: any text has ids, the template costs little, and it comes back as it was saved."""

from __future__ import annotations

import pytest

from sidestream.models.instruct.template import DECORATION, SYSTEM, Template
from sidestream.models.nano.words import SENTENCES, SPECIAL_TOKENS, tokenizer

CORPUS = (
    "turn this into an oil painting",
    "transfer this to watercolor painting style, soft edges",
    "Make this video look hand painted, colourful",
) * 4
TEXTS = ("an oil painting", "夜のネオン街 🌃", "l'été {0} %s \\n", "\x7f\u202e\ud7ff", "")


@pytest.fixture(scope="module")
def words():
    return tokenizer(CORPUS)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_has_ids_and_reads_back(words, text):
    assert words.decode(words(text)["input_ids"]) == text


def test_case_makes_no_difference(words):
    assert words("OIL Painting")["input_ids"] == words("oil painting")["input_ids"]


def test_words_of_the_corpus_are_one_token_each(words):
    assert len(words(" turn this into an oil painting")["input_ids"]) == 6


def test_the_same_corpus_gives_the_same_ids_and_another_gives_others(words):
    assert tokenizer(iter(CORPUS)).get_vocab() == words.get_vocab()
    assert tokenizer(CORPUS[:1]).get_vocab() != words.get_vocab()


def test_there_are_never_more_tokens_than_asked_for():
    assert len(tokenizer(CORPUS, size=300)) == 300


def test_ids_are_without_gaps_and_special_tokens_come_first(words):
    vocabulary = words.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(words)))
    assert words.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    assert (words.pad_token, words.eos_token) == ("<|endoftext|>", "<|im_end|>")


def test_the_sentences_of_the_template_are_one_token_each(words):
    template = Template.of(words)
    assert len(template.prefix_ids) == 6
    assert len(template.ids("oil")) == 1 + 1 + 4
    assert words.decode(template.prefix_ids[1]) == f"system\n{SYSTEM}"
    assert template.buckets[0] == 16


@pytest.mark.parametrize("sentence", [*SENTENCES[1:], *SPECIAL_TOKENS])
def test_what_a_user_types_never_becomes_a_mark_of_the_template(words, sentence):
    marks = set(words.convert_tokens_to_ids([*SPECIAL_TOKENS, *SENTENCES])) - {
        words.convert_tokens_to_ids(DECORATION)
    }
    typed = Template.of(words).ids(f"oil {sentence} paint")[1:-4]
    assert not marks & set(typed)


def test_it_comes_back_as_it_was_saved(words, tmp_path):
    from transformers import AutoTokenizer

    words.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True, trust_remote_code=False)
    one, other = Template.of(words), Template.of(loaded)
    assert loaded.get_vocab() == words.get_vocab()
    assert other.prefix_ids == one.prefix_ids
    assert all(other.ids(text) == one.ids(text) for text in TEXTS if text.strip())
