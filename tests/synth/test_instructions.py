"""Instructions vary, repeat with their seed, and never give away what is kept back to measure with."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from sidestream.errors import ConfigError
from sidestream.synth import instructions
from sidestream.synth.instructions import essence, held_out, instruction
from sidestream.synth.phrasings import HELD_OUT, PHRASINGS

STYLES = (
    *("oil", "watercolor", "pencil", "anime", "render3d", "identity"),
    *("night", "sunset", "monochrome", "warm", "cold", "invert"),
)
NEVER_TRAINED = ("van_gogh", "ukiyo_e", "comic")
DRAWS = 2000


def draws(style: str, count: int = DRAWS, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [instruction(style, random) for _ in range(count)]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[str]]:
    return {style: draws(style) for style in STYLES}


def test_there_are_words_for_every_style():
    assert tuple(PHRASINGS) == STYLES
    assert tuple(HELD_OUT) == (*STYLES, *NEVER_TRAINED)


@pytest.mark.parametrize("style", STYLES)
def test_phrasings_are_many_whole_and_of_a_length_that_is_read(style, drawn):
    assert len(set(drawn[style])) > DRAWS / 2
    assert all(3 <= len(text) <= 200 and not set("{}|\n") & set(text) for text in drawn[style])


def test_a_seed_gives_the_same_phrasings_and_another_gives_others():
    assert draws("oil", 50) == draws("oil", 50)
    assert draws("oil", 50) != draws("oil", 50, seed=1)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_kept_back_is_never_drawn_for_any_style(style, drawn):
    kept_back = {essence(text) for text in held_out(style)}
    assert len(kept_back) >= 12
    assert not kept_back & {essence(text) for texts in drawn.values() for text in texts}


def test_a_phrasing_that_is_kept_back_would_be_drawn_otherwise(monkeypatch):
    asked = {essence(text) for text in draws("oil", 200)}
    common = essence("oil painting")
    monkeypatch.setattr(instructions, "_essences", lambda style: (f" {common} ",))
    left = {essence(text) for text in draws("oil", 200)}
    assert common in asked
    assert not any(f" {common} " in f" {text} " for text in left)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_kept_back_costs_few_phrasings(style):
    random = np.random.default_rng(0)
    phrases = [instructions._phrase(PHRASINGS[style], random) for _ in range(DRAWS)]
    refused = [text for text in phrases if instructions._kept_back(text, style)]
    assert len(refused) < 0.03 * DRAWS


@pytest.mark.parametrize("style", STYLES)
def test_what_is_kept_back_is_said_in_words_that_were_trained(style, drawn):
    known = {word for texts in drawn.values() for text in texts for word in words(text)}
    unknown = [[word for word in words(text) if word not in known] for text in held_out(style)]
    assert max(map(len, unknown)) <= 1
    assert sum(map(len, unknown)) <= 3


def test_no_phrasing_asks_for_two_styles(drawn):
    meant = {style: {essence(text) for text in texts} for style, texts in drawn.items()}
    assert not any(meant[one] & meant[other] for one, other in combinations(STYLES, 2))


@pytest.mark.parametrize(
    ("style", "prompt"),
    [
        ("oil", "an oil painting"),
        ("oil", "transfer this to oil painting style, vibrant colors"),
        ("watercolor", "turn this into a watercolor painting"),
        ("watercolor", "turn this into a watercolor"),
        ("watercolor", "transfer this to watercolor painting style, soft edges"),
        ("pencil", "turn this into a pencil sketch"),
        ("pencil", "transfer this to pencil sketch style, fine line work"),
        ("anime", "transfer this to anime art style, clean cel shading"),
        ("anime", "anime cel shading, clean bold outlines"),
        ("render3d", "transfer this to 3D render style, ray-traced lighting"),
        ("night", "night"),
    ],
)
def test_the_prompts_that_our_documents_show_are_trained(style, prompt, drawn):
    assert prompt in {text.rstrip(".! ") for text in drawn[style]}


@pytest.mark.parametrize("style", STYLES)
def test_case_varies(style, drawn):
    assert any(text.isupper() for text in drawn[style])
    assert any(text.islower() for text in drawn[style])


@pytest.mark.parametrize("word", ["color", "colour", "gray", "grey", "watercolor", "watercolour"])
def test_spelling_is_american_and_british(word, drawn):
    texts = drawn["watercolor"] + drawn["monochrome"]
    assert sum(word in words(text) for text in texts) > 50


def test_the_essence_leaves_out_case_marks_spelling_politeness_and_object():
    assert essence("Please, turn the COLOURS of my video grey!") == essence("turn its colors gray")
    assert essence("oil painting") != essence("watercolor painting")


def test_a_slip_changes_one_long_word_and_never_its_start():
    random = np.random.default_rng(0)
    slips = {instructions._slip("an oil painting", random) for _ in range(50)}
    assert len(slips) > 5
    assert all(slip.startswith("an oil p") for slip in slips)
    assert instructions._slip("b&w 3D", random) == "b&w 3D"


@pytest.mark.parametrize("style", NEVER_TRAINED)
def test_styles_that_are_only_measured_have_prompts_and_no_phrasings(style):
    assert len(held_out(style)) == 5
    with pytest.raises(ConfigError, match=f"'{style}'"):
        instruction(style, np.random.default_rng(0))


def test_a_style_that_is_not_known_is_refused():
    with pytest.raises(ConfigError, match="van_gogh, ukiyo_e, comic, got 'cubist'"):
        held_out("cubist")
