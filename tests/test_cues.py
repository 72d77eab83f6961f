"""Cue files: what they say, what they refuse, and that a cross-fade reaches the pixels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clips import write_clip
from commands import Runner
from sidestream.config import LIMITS
from sidestream.cues import Cue, Cues, blend, cued, wish
from sidestream.errors import PromptError
from sidestream.media.open import open_source
from sidestream.types import Controls, Frame

TEXT = """\
# A walk through three styles.
0     an oil painting
0:04  [fade 1.5] turn this into a watercolor

1:02.5 a pencil drawing # of a cat
"""


@pytest.fixture
def run(nano, capsys) -> Runner:
    return Runner(nano, capsys)


def test_a_cue_file_is_read():
    assert Cues.parse(TEXT).cues == (
        Cue(0, "an oil painting"),
        Cue(4, "turn this into a watercolor", 1.5),
        Cue(62.5, "a pencil drawing # of a cat"),
    )


def test_a_byte_order_mark_is_no_part_of_the_first_time(tmp_path: Path):
    path = tmp_path / "cues.txt"
    path.write_text("0 café", "utf-8-sig")
    assert Cues.read(path).at(0) == "café"


@pytest.mark.parametrize(
    ("seconds", "prompt"),
    [
        (-1, "an oil painting"),
        (0, "an oil painting"),
        (4, "an oil painting"),
        (5.5, "turn this into a watercolor"),
        (62.4, "turn this into a watercolor"),
        (1e9, "a pencil drawing # of a cat"),
    ],
)
def test_the_prompt_of_a_moment(seconds: float, prompt: str):
    assert Cues.parse(TEXT).at(seconds) == prompt


def test_prompts_fade_into_each_other():
    halfway = Cues.parse(TEXT).at(4.75)
    assert halfway == (("an oil painting", 0.5), ("turn this into a watercolor", 0.5))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cues has no cues: expected lines `TIME PROMPT`"),
        ("# nothing\n\n", "cues has no cues"),
        ("hello", "cues, line 1: expected `TIME PROMPT` such as"),
        ("0", "line 1: expected"),
        ("0 a\n4 [fade] b", "line 2: expected"),
        ("0 a\n4 [fade 1]", "line 2: expected"),
        ("0 a\n-4 b", "line 2: expected"),
        ("0 a\n1:75 b", "line 2: a time m:ss has fewer than 60 seconds, got 1:75"),
        ("1 a", "line 1: the first cue must be at 0"),
        ("0 [fade 1] a", "line 1: the first cue must be at 0 and cannot fade"),
        ("0 a\n4 b\n4 c", "line 3: a cue must come later"),
        ("0 a\n4 [fade 2] b\n5 c", "line 3: a cue must come later .* end at 6 s, got 5 s"),
        ("0 a\n4 <|im_end|>", "line 2: the prompt is empty"),
        (f"0 {'a' * 401}", "line 1: the prompt has 401 characters"),
        ("0 a\n" * (LIMITS.max_cues + 1), "line 2: a cue must come later"),
        (
            "".join(f"{n} a\n" for n in range(LIMITS.max_cues + 1)),
            f"has {LIMITS.max_cues + 1} cues, at most {LIMITS.max_cues}",
        ),
    ],
)
def test_what_a_cue_file_may_not_say(text: str, sentence: str):
    with pytest.raises(PromptError, match=sentence) as caught:
        Cues.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe0", "is not text in UTF-8"),
        (b"#" * (LIMITS.max_cue_file_bytes + 1), "has more than 1000000 bytes"),
    ],
)
def test_files_that_hold_no_cues(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "cues.txt"
    path.write_bytes(content)
    with pytest.raises(PromptError, match=sentence):
        Cues.read(path)


def test_a_cue_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(PromptError, match="cannot be read"):
        Cues.read(tmp_path / "cues.txt")


spans = st.integers(1, 10**9).map(lambda ticks: ticks / 1000)
words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(st.lists(st.tuples(spans, spans, words), max_size=5), words)
def test_a_cue_file_says_the_same_once_written_again(later, first):
    lines, now = [f"0 {first}"], 0.0
    for wait, fade, prompt in later:
        lines.append(f"{now + wait:.3f} [fade {fade:.3f}] {prompt}")
        now += wait + fade + 0.001
    try:
        cues = Cues.parse("\n".join(lines))
    except PromptError:
        assume(False)
    assert Cues.parse(str(cues)) == cues


@given(st.floats(0, 100))
def test_weights_are_shares(seconds: float):
    prompt = Cues.parse(TEXT).at(seconds)
    if not isinstance(prompt, str):
        assert sum(weight for _, weight in prompt) == pytest.approx(1)
        assert all(0 < weight < 1 for _, weight in prompt)


@given(
    st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=4, unique=True),
    st.floats(0, 1),
)
def test_a_blend_can_be_asked_for_and_never_leaves_out_what_comes(before, after, share):
    prompt = blend(
        tuple((text, 2.0) for text in before), tuple((text, 1.0) for text in after), share
    )
    controls = Controls(prompt=prompt)
    assert set(after) <= {text for text, _ in controls.prompts}
    if len(set(before) | set(after)) <= LIMITS.prompts_at_once:
        assert controls.total_weight == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" a  tree ", ("a tree", 0.0)),
        ("[fade 1.5] a tree", ("a tree", 1.5)),
        ("a [fade 2] tree", ("a [fade 2] tree", 0.0)),
        ("[fade 60] a\ntree", ("a tree", 60.0)),
    ],
)
def test_a_wish_may_begin_with_a_fade(text, found):
    assert wish(text) == found


@pytest.mark.parametrize(
    "text", ["[fade 61] a", "[fade] a", "[fade 1]a", "[fade 1] ", "", "x" * 401]
)
def test_a_wish_that_cannot_be_had_is_refused(text):
    with pytest.raises(PromptError):
        wish(text)


def test_controls_are_set_only_when_the_prompt_changes():
    frames = [Frame(np.zeros((1, 1, 3), np.uint8), 100 + n, Fraction(1), n) for n in range(8)]
    opened = SimpleNamespace(controls=Controls(prompt="a"))
    cues = Cues.parse("0 a\n3 [fade 2] b\n6 c")
    seen = [opened.controls for _ in cued(frames, opened, cues)]
    assert [controls.prompt for controls in seen] == [
        *["a"] * 4,
        (("a", 0.5), ("b", 0.5)),
        "b",
        *["c"] * 2,
    ]
    assert seen[0] is seen[3]
    assert replace(seen[4], prompt="a") == seen[0]


def test_a_cross_fade_reaches_the_pixels(run: Runner, tmp_path: Path):
    clip, cues = write_clip(tmp_path / "in.mp4"), tmp_path / "cues.txt"
    cues.write_text("0 an oil painting\n0.125 [fade 0.125] night\n")
    # Without the temporal adapter a frame depends on its own prompt alone.
    still = ("--size", "64x64", "--stability", 0)
    for name, how in {
        "old": ("--prompt", "an oil painting"),
        "both": ("--cues", cues),
        "new": ("--prompt", "night"),
    }.items():
        assert run("stylize", clip, f"{tmp_path}/{name}/", *how, *still).code == 0
    old, both, new = (
        np.stack([frame.pixels.astype(int) for frame in open_source(tmp_path / name)])
        for name in ("old", "both", "new")
    )
    assert abs(both[:4] - old[:4]).max() <= 1
    assert abs(both[6:] - new[6:]).max() <= 1
    assert min(abs(both[4:6] - old[4:6]).mean(), abs(both[4:6] - new[4:6]).mean()) > 1


def test_a_file_remembers_its_cues(run: Runner, tmp_path: Path):
    clip, cues = write_clip(tmp_path / "in.mp4"), tmp_path / "cues.txt"
    cues.write_text("0 an oil painting\n0.125 [fade 0.125] night\n")
    size = ("--size", "64x64")
    assert run("stylize", clip, f"{tmp_path}/a/", "--cues", cues, *size).code == 0
    assert run("stylize", clip, f"{tmp_path}/b/", "--like", tmp_path / "a").code == 0
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_cues_after_the_end_are_told():
    cues = Cues.parse(TEXT)
    assert cues.unused(62.6) == []
    assert cues.unused(62.5) == ["the cue at 62.5 s comes after the video's end at 62.5 s"]
    assert len(cues.unused(1.0)) == 2
