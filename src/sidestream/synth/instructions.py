"""What users write when they ask for a style: phrasings to train on, and others kept back to measure with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from string import capwords

from numpy.random import Generator

from sidestream.errors import ConfigError
from sidestream.synth.phrasings import HELD_OUT, PHRASINGS, Phrasing, table

OBJECTS = table("""this | this | it | it | this video | the video | this picture | the picture | this scene | the scene
    | this clip | the image | this image | my video | this footage | everything | the whole video | the frame""")
NOUN_ORDERS = table("""turn {it} into {a} | turn {it} into {a} | transform {it} into {a} | convert {it} into {a}
    | convert {it} to {a} | make {it} look like {a} | make {it} look like {a} | make {it} {a} | make {it} into {a}
    | change {it} to {a} | change {it} into {a} | restyle {it} as {a} | restyle {it} to {n} style | show {it} as {a}
    | edit {it} to look like {a} | give {it} the look of {a} | give {it} the {n} look | transfer {it} to {n} style
    | transfer {it} to {n} | transfer {it} to {n} style | apply {n} style to {it} | apply {a} effect | apply the {n} effect to {it}
    | put {it} in {n} style | stylize {it} as {a} | make {a} of {it} | make {a} from {it} | redo {it} as {a} | use {n} style
    | show me how {it} would look as {a}""")
NOUN_SHORTS = table("""{n} | {n} | {a} | {n} style | {n} effect | {n} look | in {n} style | as {a} | in the style of {a} | {it} as {a}
    | like {a} | {n} filter | the look of {a} | {n} version | {it} in {n} style | {it} like {a} | style: {n} | {a} everywhere
    | {it} should look like {a} | i'd like {it} as {a} | i want to see {it} as {a} | i'd like to see {a}""")
STATE_SHORTS = table("""{s} | {s} | {s} | {it} should {be} {s} | {it} should {be} {s} | i'd like {it} to {be} {s}
    | i want {it} to {be} {s} | let {it} {be} {s} | i need {it} to {be} {s}""")
LOOKS_ORDERS = table("""{t} | {t} | {t} | {t} | {t} everywhere | with {t} | give {it} {t} | {it} should have {t}
    | i'd like to see {t} | i want {t} | {it} with {t} | show {it} with {t}""")
POLITE = table("""please {o} | please {o} | can you {o} | could you {o} | could you please {o} | i want you to {o} | {o} please | {o} for me
    | {o}, thanks | now {o} | just {o} | hey, {o} | i would like you to {o} | let's {o} | i need you to {o} | {o} now | then {o}""")
FLATTERY = table(
    "beautiful | nice | good | detailed | high quality | simple | real | cool-looking | full"
)
ENDINGS = table("""{t}, high quality | {t}, keep the composition | {t}, best quality | {t}, detailed | {t}, keep the shapes
    | {t}, same scene | {t} in every frame | {t}, nothing else | high quality {t}""")
CLOSINGS = ("", "", "", "", "", "", ".", ".", ".", "!", "!!", " .", "...")
BRITISH = {"color": "colour", "gray": "grey", "cozy": "cosy", "stylize": "stylise"}
VERBS = frozenset(("look", "feel", "stay", "remain", "take", "happen"))
"""What a state may begin with; any other is something to be."""
EMPTY_WORDS = frozenset(
    table("""a | an | the | this | it | its | my | please | can | could | you | i | id | want | would | like | need | to | for | me
    | now | just | hey | then | lets | thanks | of | in | video | picture | scene | clip | image | footage | everything | whole
    | frame | all""")
)


def instruction(style: str, random: Generator) -> str:
    """One phrasing to train on; the same state of `random` gives the same."""
    if style not in PHRASINGS:
        raise ConfigError(f"a style to train on is one of {', '.join(PHRASINGS)}, got {style!r}")
    while True:
        phrase = _phrase(PHRASINGS[style], random)
        typed = _as_typed(phrase, random)
        if not _kept_back(phrase, style) and not _kept_back(typed, style):
            return typed


def held_out(style: str) -> tuple[str, ...]:
    """Prompts that `instruction` never gives, to measure what was understood rather than remembered."""
    if style not in HELD_OUT:
        raise ConfigError(f"a style to measure is one of {', '.join(HELD_OUT)}, got {style!r}")
    return HELD_OUT[style]


def essence(text: str) -> str:
    """What two prompts have in common when they differ in case, spelling, marks, politeness and object only."""
    words = re.findall(r"[a-z0-9]+", _american(text.casefold()).replace("'", ""))
    return " ".join(word for word in words if word not in EMPTY_WORDS)


def _kept_back(text: str, style: str) -> bool:
    """Whether the text says, within it, what is kept back to measure with."""
    return any(held in f" {essence(text)} " for held in _essences(style))


@cache
def _essences(style: str) -> tuple[str, ...]:
    return tuple(f" {essence(text)} " for text in HELD_OUT[style])


def _phrase(words: Phrasing, random: Generator) -> str:
    kind = random.choice(
        ("known", "noun", "state", "order", "looks"), p=(0.1, 0.4, 0.15, 0.22, 0.13)
    )
    if kind == "known":
        return _one(words.known, random)
    if kind == "looks":
        text = _looks(words, random)
    else:
        text = {"noun": _noun, "state": _state, "order": _order}[kind](words, random)
        text = _with_looks(text, words.looks, random)
    return _one(ENDINGS, random).format(t=text) if random.random() < 0.08 else text


def _noun(words: Phrasing, random: Generator) -> str:
    noun = _one(words.nouns, random)
    if random.random() < 0.1:
        noun = f"{_one(FLATTERY, random)} {noun}"
    article = "an" if noun[0].casefold() in "aeiou" else "a"
    names = {"it": _one(OBJECTS, random), "a": f"{article} {noun}", "n": noun}
    if random.random() < 0.4:
        return _one(NOUN_SHORTS, random).format(**names)
    return _politely(_one(NOUN_ORDERS, random).format(**names), random)


def _state(words: Phrasing, random: Generator) -> str:
    state, it = _one(words.states, random), _one(OBJECTS, random)
    if random.random() < 0.6:
        return _politely(f"make {it} {state}", random)
    being = "" if state.split()[0] in VERBS else "be "
    return _one(STATE_SHORTS, random).replace("{be} ", being).format(it=it, s=state)


def _order(words: Phrasing, random: Generator) -> str:
    return _politely(_one(words.orders, random).format(it=_one(OBJECTS, random)), random)


def _looks(words: Phrasing, random: Generator) -> str:
    looks = ", ".join(random.choice(words.looks, int(random.integers(1, 4)), replace=False))
    return _one(LOOKS_ORDERS, random).format(t=looks, it=_one(OBJECTS, random))


def _with_looks(text: str, looks: Sequence[str], random: Generator) -> str:
    if random.random() < 0.6:
        return text
    one, other = random.choice(looks, 2, replace=False)
    joints = (
        f", {one}",
        f", {one}",
        f" with {one}",
        f", {one}, {other}",
        f" with {one} and {other}",
        f": {one}",
    )
    return text + _one(joints, random)


def _politely(order: str, random: Generator) -> str:
    return _one(POLITE, random).format(o=order) if random.random() < 0.3 else order


def _as_typed(text: str, random: Generator) -> str:
    """British now and then, in some case, with a slip of the finger and something to close."""
    if random.random() < 0.4:
        text = _replaced(text, BRITISH)
    if random.random() < 0.08:
        text = _slip(text, random)
    cased = (text, text.lower(), text[:1].upper() + text[1:], text.upper(), capwords(text))
    return str(random.choice(cased, p=(0.4, 0.25, 0.25, 0.05, 0.05))) + _one(CLOSINGS, random)


def _slip(text: str, random: Generator) -> str:
    """Two letters of a word swapped, one left out, or one doubled; never a word's first."""
    words = text.split()
    long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    index = int(random.choice(long))
    word = words[index]
    at = int(random.integers(1, len(word) - 1))
    slips = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
    )
    words[index] = _one(slips, random)
    return " ".join(words)


def _american(text: str) -> str:
    return _replaced(text, {british: american for american, british in BRITISH.items()})


def _replaced(text: str, spelling: dict[str, str]) -> str:
    for one, other in spelling.items():
        text = text.replace(one, other)
    return text


def _one(table: Sequence[str], random: Generator) -> str:
    return table[int(random.integers(len(table)))]
