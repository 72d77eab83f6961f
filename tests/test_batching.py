"""Which frames share a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictures import sliding
from sidestream.batching import consecutive, together
from sidestream.types import Batch, Pixels

SCENE, OTHER = sliding(20), sliding(20, seed=7)


def batches(nano, pictures, size=4, **asked) -> list[Batch]:
    with nano.open("ink", size="96x64", **asked) as opened:
        return list(consecutive(opened.frames(pictures), opened.stream, size, nano.fit))


@settings(max_examples=20)
@given(st.integers(0, 20), st.sampled_from([1, 2, 4, 8, 16]))
def test_every_frame_is_in_one_batch_in_order(nano, count, size):
    made = batches(nano, SCENE[:count], size)
    assert [job.frame.index for batch in made for job in batch.jobs] == list(range(count))
    assert all(len(batch.jobs) <= batch.slots for batch in made)
    assert all(len(batch.jobs) == size for batch in made[:-1])


def test_a_tail_is_padded_to_the_next_size_only(nano):
    assert [(len(b.jobs), b.slots) for b in batches(nano, SCENE[:11], 8)] == [(8, 8), (3, 4)]


def test_a_cut_closes_the_batch_early(nano):
    made = batches(nano, [*SCENE[:6], *OTHER[:6]])
    assert [len(batch.jobs) for batch in made] == [4, 2, 4, 2]
    assert made[2].jobs[0].plan.reasons == ("cut",)
    assert made[2].jobs[0].previous is None
    assert made[2].jobs[0].plan.epoch == made[1].jobs[0].plan.epoch + 1


def test_each_job_knows_the_frame_before_it(nano):
    first, second = batches(nano, SCENE[:8])
    assert first.jobs[0].previous is None
    assert second.jobs[0].previous is first.jobs[-1].frame
    assert second.jobs[1].previous is second.jobs[0].frame


def test_a_new_prompt_closes_the_batch_and_a_new_weight_does_not(nano):
    with nano.open((("ink", 1.0), ("oil", 0.0)), size="96x64") as opened:

        def source() -> Iterator[Pixels]:
            for number, picture in enumerate(SCENE[:8]):
                if number == 3:
                    fade = (("ink", 0.6), ("oil", 0.4))
                    opened.controls = replace(opened.controls, prompt=fade)
                if number == 6:
                    opened.controls = replace(opened.controls, prompt="oil")
                yield picture

        made = list(consecutive(opened.frames(source()), opened.stream, 4, nano.fit))
    assert [len(batch.jobs) for batch in made] == [4, 2, 2]
    assert made[2].jobs[0].plan.reasons[0] == "prompt"


def test_cuts_are_not_looked_for_when_told_so(nano):
    from sidestream.config import Schedule

    made = batches(nano, [*SCENE[:6], *OTHER[:6]], schedule=Schedule(cut_threshold=None))
    assert [len(batch.jobs) for batch in made] == [4, 4, 4]


def test_streams_of_one_shape_share_a_batch_and_others_do_not(nano):
    same, alike, other = (nano.open("ink", size=s) for s in ("96x64", "96x64", "64x64"))
    feeds = [(o.stream, o.frames(SCENE[:n])) for o, n in ((same, 3), (alike, 2), (other, 3))]
    made = list(together(feeds, nano.fit))
    for opened in (same, alike, other):
        opened.close()
    assert [(len(b.jobs), b.key.size.width) for b in made] == [
        (2, 96),
        (1, 64),
        (2, 96),
        (1, 64),
        (1, 96),
        (1, 64),
    ]


def test_more_streams_than_a_batch_holds_are_split(nano):
    opened = [nano.open("ink", size="32x32") for _ in range(16)]
    with pytest.raises(ValueError, match="16 streams are open"):
        nano.open("ink")
    feeds = [(o.stream, o.frames(SCENE[:1])) for o in opened]
    assert [len(b.jobs) for b in together([*feeds], nano.fit)] == [16]
    for one in opened:
        one.close()
