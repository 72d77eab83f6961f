"""Lessons: pieces of pictures with the same pieces of their paintings."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from sidestream.config import Size
from sidestream.train.lessons import Lesson, Lessons, Meal, prompts_of

SMALL = Meal(Size(32, 32), 4)


def lessons_of(model, galleries, painters, shares, instruct, seed: int = 0) -> Lessons:
    return Lessons(model, galleries, painters, shares, instruct, seed)


def same(one: Lesson, other: Lesson) -> bool:
    pairs = (
        (one.source_BCHW, other.source_BCHW),
        (one.target_BCHW, other.target_BCHW),
        (one.painted_BCHW, other.painted_BCHW),
    )
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_lesson_follows_from_seed_and_step(model, shelves, painters, instruct):
    galleries, shares = [shelves(64, 64), shelves(64, 96)], {"negative": 1.0, "identity": 1.0}
    one, two, other = (
        lessons_of(model, galleries, painters, shares, instruct, seed) for seed in (0, 0, 1)
    )
    first = one.lesson(3, SMALL)
    one.lesson(4, SMALL)
    assert same(one.lesson(3, SMALL), first)
    assert same(two.lesson(3, SMALL), first)
    assert torch.equal(two.lesson(3, SMALL).text.kv, first.text.kv)
    assert not same(one.lesson(4, SMALL), first)
    assert not same(other.lesson(3, SMALL), first)


@pytest.mark.parametrize("shelved", [True, False])
@pytest.mark.parametrize("size", [Size(32, 32), Size(96, 64), Size(64, 96)])
def test_a_piece_of_a_painting_is_of_the_same_piece_of_the_picture(
    model, shelves, painters, instruct, size: Size, shelved: bool
):
    """The last size is had from lying pictures that are stood up."""
    galleries = [shelves(64, 64), shelves(64, 96)]
    if not shelved:
        galleries = [{"source": gallery["source"]} for gallery in galleries]
    lesson = lessons_of(model, galleries, painters, {"negative": 1.0}, instruct).lesson(
        1, Meal(size, 3)
    )
    assert lesson.painted_BCHW.shape == (3, 3, size.height, size.width)
    assert lesson.painted_BCHW.std() > 0.3
    with torch.no_grad():
        picture, painting = (model.encode_image(sign * lesson.painted_BCHW) for sign in (-1, 1))
    assert torch.allclose(lesson.source_BCHW, picture, atol=1e-4)
    assert torch.allclose(lesson.target_BCHW, painting, atol=1e-4)


def test_pictures_are_stood_up_as_they_are(model, shelves, painters, instruct):
    """Of a gallery that fits as it is, none is turned."""
    wide = shelves(64, 96)
    lessons = lessons_of(model, [wide], painters, {"identity": 1.0}, instruct)
    stood = lessons.lesson(0, Meal(Size(64, 96), 4)).painted_BCHW
    lying = lessons.lesson(0, Meal(Size(96, 64), 4)).painted_BCHW
    pictures = (torch.from_numpy(wide["source"]).permute(0, 3, 1, 2).float() / 127.5 - 1).flatten(1)
    for piece, turned in ((stood, True), (lying, False)):
        whole = (piece.mT if turned else piece).reshape(4, -1)
        assert bool((torch.cdist(whole, pictures).min(dim=1).values < 1e-3).all())


def test_styles_come_as_often_as_their_shares_say(model, shelves, painters):
    asked: Counter[str] = Counter()

    def instruct(style: str, random: np.random.Generator) -> str:
        asked[style] += 1
        return "make it so"

    shares = {"negative": 3.0, "identity": 1.0, "never": 0.0}
    lessons = lessons_of(model, [shelves(32, 32)], painters, shares, instruct)
    for step in range(8):
        lessons.lesson(step, Meal(Size(32, 32), 32))
    assert asked["never"] == 0
    assert asked["negative"] / asked.total() == pytest.approx(0.75, abs=0.08)


def test_prompts_of_a_batch_are_padded_to_one_length(model):
    texts = ["make it blue", "turn everything in this video into a very detailed oil painting " * 3]
    [[short], [long]] = prompts_of(model, texts)
    assert len(short.ids) == len(long.ids)
    for prompt, text in zip((short, long), texts, strict=True):
        ids = model.template.ids(text)
        assert prompt.length == len(ids)
        assert prompt.ids[: prompt.length] == ids
        assert set(prompt.ids[prompt.length :]) <= {model.template.pad}


def test_the_encoder_is_trained_through_a_lesson(model, parts, shelves, painters, instruct):
    lessons = lessons_of(model, [shelves(32, 32)], painters, {"negative": 1.0}, instruct)
    parts.text_encoder.requires_grad_(True)
    try:
        lesson = lessons.lesson(0, SMALL)
    finally:
        parts.text_encoder.requires_grad_(False)
    assert lesson.text.kv.requires_grad
    assert not lesson.source_BCHW.requires_grad
