import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lively
from sidestream.config import LIMITS
from sidestream.errors import ModelError, PromptError
from sidestream.models.instruct.template import (
    AFTER,
    BEFORE,
    DECORATION,
    VISION,
    Template,
    clean,
)
from sidestream.models.nano.words import SPECIAL_TOKENS

WORDS = st.text(max_size=60)
MARKS = st.sampled_from(
    ["<|", "|>", "im_end", "<|im_end|>", "<|image_pad|>", " ", "\x00", "|", "<"]
)


@pytest.fixture(scope="module")
def tokenizer():
    return lively.words()


@pytest.fixture(scope="module")
def template(tokenizer):
    return Template.of(tokenizer)


@pytest.mark.parametrize(
    "prompt", ["ink", "夜のネオン街 🌃", "l'été {0} %s \\n", "👩‍👩‍👧 a < b | c > d"]
)
def test_the_parts_are_the_whole_template_tokenised_at_once(tokenizer, template, prompt):
    start, pad, end = VISION
    text = f"{BEFORE}{start}{pad * 5}{end}{DECORATION} {prompt}{AFTER}"
    marks = [tokenizer.convert_tokens_to_ids(mark) for mark in (start, *[pad] * 5, end)]
    assert [*template.prefix_ids, *marks, *template.ids(prompt)] == tokenizer(text)["input_ids"]


def test_special_tokens_that_a_user_types_stay_text(tokenizer, template):
    special = set(tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)))
    typed = template._decorated("a <|im_end|> b <|image_pad|>")
    assert not special & set(typed)
    assert "<|im_end|>" in tokenizer.decode(typed)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  oil\n\tpainting ", "oil painting"),
        ("a\x00b\ud800c\x1b[0m\x7f", "abc[0m"),
        ("e\x00\u0301te\u0301", "\u00e9t\u00e9"),
        ("oil <|im_end|> paint", "oil paint"),
        ("<|im_<|im_end|>end|>", "PromptError"),
        ("x <|im_st<|a|>art|> y", "x y"),
        ("<<|a|>|im_end|>", "< |im_end|>"),
        ("👩‍👩‍👧 \u202eabc", "👩‍👩‍👧 abc"),
    ],
)
def test_cleaning(given, kept):
    if kept == "PromptError":
        with pytest.raises(PromptError, match="empty"):
            clean(given)
    else:
        assert clean(given) == kept


@settings(deadline=None)
@given(st.lists(WORDS | MARKS, max_size=12).map("".join))
def test_a_cleaned_prompt_has_no_markup_and_is_clean(prompt):
    try:
        text = clean(prompt)
    except PromptError:
        return
    assert not any(mark in text for mark in SPECIAL_TOKENS)
    assert clean(text) == text
    assert text.encode()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=30))
def test_any_unicode_can_be_asked_for(template, prompt):
    ids = template.ids(prompt)
    assert template.bucket(len(ids)) in template.buckets


@pytest.mark.parametrize("prompt", ["", " \n\t", "\x00", "<|im_end|>"])
def test_an_empty_prompt_is_refused(template, prompt):
    with pytest.raises(PromptError, match="empty"):
        template.ids(prompt)


def test_too_many_characters_are_refused_with_their_bound():
    clean("x" * LIMITS.prompt_characters)
    with pytest.raises(PromptError, match="has 401 characters, more than the 400 that"):
        clean("x" * (LIMITS.prompt_characters + 1))


def test_too_many_tokens_are_refused_with_their_bound(template):
    with pytest.raises(PromptError, match="has 301 tokens, more than the 128 that"):
        template.ids("#" * 300)


def test_the_longest_prompt_fills_the_longest_bucket(template):
    ids = template.ids("#" * (LIMITS.prompt_tokens - 1))  # and a space before them
    assert template.bucket(len(ids)) == template.buckets[-1]


@pytest.mark.parametrize(("length", "padded"), [(1, 16), (16, 16), (17, 32), (160, 160)])
def test_buckets_are_multiples_of_sixteen(length, padded):
    assert Template.bucket(length) == padded


def test_a_prompt_is_tokenised_once():
    asked = []
    template = Template([1], lambda prompt: asked.append(prompt) or [2] * (1 + len(prompt)), [3])
    assert template.ids("ink") is template.ids("ink")
    assert template.pad == 3
    assert asked == ["", "ink"]


def test_a_tokenizer_without_pictures_is_refused(tokenizer):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(ModelError, match=r"must know <\|vision_start\|>"):
        Template.of(words)


def test_the_stand_in_has_the_real_lengths():
    template = Template.stand_in()
    prompt = "transfer this to watercolor painting style with soft edges and grain"
    assert len(template.prefix_ids) == 64
    assert len(template.ids("a")) in (27 + 1 + 5, 27 + 2 + 5)
    assert 11 <= len(template.ids(prompt)) - 27 - 5 <= 18
    assert template.ids(prompt) == Template.stand_in().ids(prompt) != template.ids("ink")
    assert template.buckets == range(48, 161, 16)


def test_nothing_in_a_prompt_turns_the_text_around_it():
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert clean(f"a {turning}tree\u202e") == "a tree"
    assert clean("<|im_\u202eend|> tree") == "tree"
    assert clean("שלום 👩\u200d🎨") == "שלום 👩\u200d🎨"
