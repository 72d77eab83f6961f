"""What must always hold of the engine, on nano in float32. The encoder's and the adapter's own are beside them."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lively
from pictures import sliding
from sidestream import Controls, Frame, Stylizer, flow
from sidestream.batching import consecutive
from sidestream.build import auto_batch
from sidestream.config import Schedule
from sidestream.engine import Engine
from sidestream.errors import EngineError
from sidestream.media import pixels
from sidestream.models.compile import compiled
from sidestream.models.lanes import Lane, Lanes
from sidestream.types import Pixels, Styled

SMALL = {"size": "32x32", "batch": 4}
SCENE, OTHER_SCENE = sliding(12, 0, 32, 32), sliding(12, 7, 32, 32)


def frames(pictures: Iterable[Pixels], start: int = 0) -> list[Frame]:
    return [
        Frame(picture, 1000 + 7 * index, Fraction(1, 240), index)
        for index, picture in enumerate(pictures, start)
    ]


def run(
    stylizer: Stylizer, pictures: Iterable[Frame | Pixels], prompt: str = "oil painting", **settings
) -> list[Styled]:
    with stylizer.open(prompt, **{**SMALL, **settings}) as stream:
        return list(stream.run(pictures))


def levels(styled: Sequence[Styled]) -> NDArray[np.float64]:
    return np.stack([one.pixels for one in styled]).astype(float)


def distance(first: Sequence[Styled], second: Sequence[Styled]) -> float:
    return float(np.abs(levels(first) - levels(second)).mean())


def furthest(first: Sequence[Styled], second: Sequence[Styled]) -> float:
    return float(np.abs(levels(first) - levels(second)).max())


# 0. A model that ignored its inputs would pass everything below.


def test_prompt_picture_seed_and_conditioning_each_move_pixels_by_8_levels(nano):
    base = run(nano, SCENE)
    assert distance(base, run(nano, SCENE, prompt="pencil sketch")) >= 8
    assert distance(base, run(nano, OTHER_SCENE)) >= 8
    assert distance(base, run(nano, SCENE, seed=43)) >= 8
    assert distance(base[4:], run(nano, SCENE, stability=0.0)[4:]) >= 8


def test_what_is_conditioned_on_matters_not_only_that_it_is(nano):
    def after(first_seed: int) -> list[Styled]:
        with nano.open("oil painting", seed=first_seed, **SMALL) as stream:

            def source() -> Iterator[Pixels]:
                for number, picture in enumerate(SCENE[:8]):
                    if number == 4:
                        stream.controls = replace(stream.controls, seed=42)
                    yield picture

            return list(stream.run(source()))[4:]

    assert distance(after(1), after(2)) >= 8


# 1. N frames in, N frames out.


@settings(max_examples=12)
@given(st.integers(0, 11), st.sampled_from([1, 2, 4, 8]))
def test_every_frame_comes_out_in_order_with_its_time(nano, count, batch):
    given_frames = frames(SCENE[:count])
    styled = run(nano, given_frames, batch=batch)
    assert [(s.frame.pts, s.frame.time_base, s.frame.index) for s in styled] == [
        (f.pts, f.time_base, f.index) for f in given_frames
    ]


# 2. Pixels do not depend on how the work was divided.


def test_pipelining_does_not_change_pixels(nano):
    assert furthest(run(nano, SCENE), in_turn(nano, batch=4)) == 0


def in_turn(nano: Stylizer, batch: int, **settings) -> list[Styled]:
    """The same work without lanes, a batch after the other."""
    engine = nano.built.engine
    with nano.open("oil painting", **{**SMALL, **settings}) as opened:
        batches = consecutive(opened.frames(SCENE), opened.stream, batch, nano.fit)
        with torch.inference_mode():
            return [
                styled
                for one in batches
                for styled in engine.render.deliver(
                    engine.render(engine.prepare(engine.observe(one)))
                )
            ]


@settings(max_examples=6)
@given(st.integers(1, 12), st.sampled_from([1, 2, 8, 16]))
def test_without_feedback_pixels_do_not_depend_on_the_batch_size(nano, count, batch):
    base = run(nano, SCENE[:count], stability=0.0)
    assert furthest(base, run(nano, SCENE[:count], stability=0.0, batch=batch)) <= 1


def test_streams_that_share_batches_get_the_pixels_they_get_alone(nano):
    asked = [("oil painting", SCENE), ("pencil sketch", OTHER_SCENE), ("ink", SCENE[::-1])]
    alone = [run(nano, pictures, prompt, batch=1) for prompt, pictures in asked]
    shared = together(nano, asked)
    assert max(furthest(one, other) for one, other in zip(alone, shared, strict=True)) <= 1


def test_swapped_inputs_are_noticed(nano):
    asked = [("oil painting", SCENE), ("pencil sketch", OTHER_SCENE)]
    swapped = [("oil painting", OTHER_SCENE), ("pencil sketch", SCENE)]
    for one, other in zip(together(nano, asked), together(nano, swapped), strict=True):
        assert distance(one, other) >= 8


def together(nano: Stylizer, asked: Sequence[tuple[str, list[Pixels]]]) -> list[list[Styled]]:
    opened = [nano.open(prompt, **SMALL) for prompt, _ in asked]
    pairs = [(one, pictures) for one, (_, pictures) in zip(opened, asked, strict=True)]
    styled = list(nano.together(pairs))
    for one in opened:
        one.close()
    return [[s for s in styled if s.stream is one.stream] for one in opened]


SCHEDULES = st.builds(
    Schedule,
    text_every=st.integers(1, 5),
    cond_every=st.integers(1, 5),
    text_first_frame_only=st.booleans(),
    motion_budget=st.none() | st.floats(0.01, 0.2),
)


@settings(max_examples=10)
@given(st.lists(st.tuples(SCHEDULES, st.sampled_from([0.0, 0.5])), min_size=2, max_size=3))
def test_streams_of_any_schedule_that_share_batches_keep_their_pixels(nano, asked):
    prompts = ["oil painting", "pencil sketch", (("ink", 0.3), ("watercolor", 0.7))]
    scenes = [SCENE[:8], [*OTHER_SCENE[:4], *SCENE[:4]], SCENE[7::-1]]
    plans = [
        {"prompt": prompt, "schedule": schedule, "blend": blend, **SMALL}
        for prompt, (schedule, blend) in zip(prompts, asked, strict=False)
    ]
    opened = [nano.open(**one) for one in plans]
    styled = list(nano.together(list(zip(opened, scenes, strict=False))))
    for one in opened:
        one.close()
    for one, settings_, scene in zip(opened, plans, scenes, strict=False):
        alone = run(nano, scene, **{**settings_, "batch": 1})
        shared = [s for s in styled if s.stream is one.stream]
        assert [s.plan for s in shared] == [s.plan for s in alone]
        assert furthest(shared, alone) <= 1


@settings(max_examples=6)
@given(SCHEDULES, st.sampled_from([1, 2, 4]))
def test_pipelining_changes_no_pixels_under_any_schedule(nano, schedule, batch):
    first, second = (run(nano, SCENE, schedule=schedule, batch=batch) for _ in range(2))
    assert furthest(first, second) == 0
    assert furthest(first, in_turn(nano, schedule=schedule, batch=batch)) == 0


# 3. The same again.


def test_the_same_input_seed_and_batch_give_the_same_pixels(nano):
    assert furthest(run(nano, SCENE), run(nano, SCENE)) == 0


def test_fixed_noise_makes_equal_frames_equal(nano):
    still = [SCENE[0]] * 3
    fixed = levels(run(nano, still, fixed_noise=True, stability=0.0))
    fresh = levels(run(nano, still, stability=0.0))
    assert np.abs(fixed[0] - fixed[2]).max() <= 1
    assert np.abs(fresh[0] - fresh[2]).mean() >= 8


def test_the_automatic_batch_depends_on_nothing_but_liveness():
    assert auto_batch(live=False) == 8
    assert auto_batch(live=True) == 1


# 4. Controls hold for the frame that comes next.


@settings(max_examples=6)
@given(st.integers(1, 9))
def test_a_prompt_set_before_a_frame_is_yielded_holds_from_that_frame(nano, at):
    with nano.open("oil painting", stability=0.0, **SMALL) as stream:

        def source() -> Iterator[Pixels]:
            for number, picture in enumerate(SCENE[:10]):
                if number == at:
                    stream.controls = replace(
                        stream.controls, prompt="a much longer prompt, in ink"
                    )
                yield picture

        styled = list(stream.run(source()))
    first = run(nano, SCENE[:10], stability=0.0)
    second = run(nano, SCENE[:10], "a much longer prompt, in ink", stability=0.0)
    assert furthest(styled[:at], first[:at]) <= 1
    assert furthest(styled[at:], second[at:]) <= 1
    assert [s.revision for s in styled] == [0] * at + [1] * (10 - at)


def test_a_prompt_of_one_stream_leaves_the_other_alone(nano):
    one, other = nano.open("oil painting", **SMALL), nano.open("ink", **SMALL)

    def source() -> Iterator[Pixels]:
        for number, picture in enumerate(SCENE):
            if number == 5:
                one.controls = replace(one.controls, prompt="pencil sketch")
            yield picture

    styled = list(nano.together([(one, source()), (other, OTHER_SCENE)]))
    untouched = [s for s in styled if s.stream is other.stream]
    one.close()
    other.close()
    assert furthest(untouched, run(nano, OTHER_SCENE, "ink", batch=1)) <= 1


def test_strength_mixes_with_the_input(nano):
    shown = run(nano, SCENE[:4], strength=0.0)
    assert all(np.array_equal(s.pixels, s.source.pixels) for s in shown)
    full, half = (levels(run(nano, SCENE[:4], strength=s)) for s in (1.0, 0.5))
    assert np.abs(half - (full + levels(shown)) / 2).max() <= 1


# 6. Nothing recompiles, nothing moves.


def test_nothing_recompiles_over_prompts_refreshes_cuts_and_controls():
    torch.compiler.reset()
    eagerly = partial(compiled, backend="eager")
    with lively.load(lanes=Lanes(Lane(eagerly), Lane(eagerly))) as stylizer:
        unet = stylizer.built.model.unet
        everything(stylizer, [*SCENE, *OTHER_SCENE[:4]], reworded=8)  # each shape is met once
        before = addresses(unet)
        assert before
        with torch.compiler.set_stance("fail_on_recompile"):
            # The cut comes after a batch of three frames, so that three pictures are written.
            everything(stylizer, [*SCENE[:7], *OTHER_SCENE[:8]], reworded=11, cond_every=4)
        assert addresses(unet) == before


def addresses(unet: torch.nn.Module) -> dict[str, int]:
    return {name: buffer.data_ptr() for name, buffer in unet.named_buffers()}


def everything(
    stylizer: Stylizer, pictures: Sequence[Pixels], reworded: int, cond_every: int = 8
) -> None:
    schedule = Schedule(text_every=8, cond_every=cond_every)
    with stylizer.open("ink", schedule=schedule, **SMALL) as stream:

        def source() -> Iterator[Pixels]:
            for number, picture in enumerate(pictures):
                changes = {
                    4: {"strength": 0.3, "stability": 0.7, "seed": 9},
                    reworded: {
                        "prompt": "a watercolor painting of great beauty with many soft edges"
                    },
                }.get(number)
                if changes:
                    stream.controls = replace(stream.controls, **changes)
                yield picture

        assert len(list(stream.run(source()))) == len(pictures)


# 7. Nothing of one scene is carried into the next.


def test_the_first_batch_after_a_cut_carries_nothing_of_the_scene_before(nano):
    before, after = sliding(6, 0), sliding(6, 7)
    joined = run(nano, frames([*before, *after]), size="96x64")
    assert joined[6].plan.reasons == ("cut",)
    alone = run(nano, frames(after, start=6), size="96x64")
    assert furthest(joined[6:], alone) <= 1


def test_blending_does_not_cross_a_cut(nano):
    before, after = sliding(6, 0), sliding(6, 7)
    joined = run(nano, frames([*before, *after]), size="96x64", blend=0.8)
    alone = run(nano, frames(after, start=6), size="96x64", blend=0.8)
    assert joined[6].plan.reasons == ("cut",)
    assert furthest(joined[6:], alone) <= 1


@pytest.fixture(scope="module")
def detailed() -> Iterator[Stylizer]:
    with lively.load(detail=True) as stylizer:
        yield stylizer


def test_details_come_from_the_picture_before_in_every_batch_alike(detailed):
    one_by_one, by_four = (run(detailed, SCENE, batch=batch) for batch in (1, 4))
    plain = run(detailed, SCENE, stability=0.0)
    assert furthest(one_by_one, by_four) <= 1
    assert furthest(one_by_one[:1], plain[:1]) <= 1
    assert distance(one_by_one[1:], plain[1:]) >= 8


def test_details_are_those_of_the_own_stream(detailed):
    with (
        detailed.open("oil painting", **SMALL) as first,
        detailed.open("pencil sketch", seed=3, **SMALL) as second,
    ):
        both = list(detailed.together([(first, SCENE), (second, OTHER_SCENE)]))
        apart = [[one for one in both if one.stream is each.stream] for each in (first, second)]
    assert furthest(apart[0], run(detailed, SCENE)) <= 1
    assert furthest(apart[1], run(detailed, OTHER_SCENE, prompt="pencil sketch", seed=3)) <= 1


def test_details_do_not_cross_a_cut(detailed):
    before, after = sliding(6, 0), sliding(6, 7)
    joined = run(detailed, frames([*before, *after]), size="96x64")
    alone = run(detailed, frames(after, start=6), size="96x64")
    assert joined[6].plan.reasons == ("cut",)
    assert furthest(joined[6:], alone) <= 1


def test_where_nothing_is_held_no_flow_is_looked_for(detailed, monkeypatch):
    asked = []
    monkeypatch.setattr(flow, "flows_of", lambda *given, **how: asked.append(how["stepwise"]))
    run(detailed, SCENE[:2], batch=1, stability=0.0)
    assert not any(asked)


def test_details_are_left_out_where_conditioning_is_not_due(detailed):
    styled = run(detailed, SCENE, batch=1, schedule=Schedule(cond_every=4))
    plain = run(detailed, SCENE, batch=1, stability=0.0)
    apart = np.abs(levels(styled) - levels(plain)).mean(axis=(1, 2, 3))
    due = [one.plan.conditioning == "refresh" for one in styled]
    assert 0 < sum(due) < 6
    assert [bool(gap > 1) for gap in apart] == due


def test_a_cut_between_two_runs_is_seen(nano):
    with nano.open("ink", size="96x64", batch=1) as stream:
        list(stream.run(sliding(3, 0)))
        styled = list(stream.run(sliding(3, 7)))
    assert styled[0].plan.reasons == ("cut",)


def test_nothing_builds_on_a_run_that_was_left_early(nano):
    with nano.open("oil painting", **SMALL) as stream:
        unfinished = stream.run(frames(SCENE[:10]))
        next(unfinished)
        unfinished.close()
        again = list(stream.run(frames(OTHER_SCENE[:6])))
    assert again[0].plan.reasons == ("left",)
    assert furthest(again, run(nano, frames(OTHER_SCENE[:6]))) <= 1


class Recording:
    """A TemporalAdapter that keeps what is written into it."""

    def __init__(self, adapter) -> None:
        self.adapter = adapter
        self.written: list[torch.Tensor] = []

    def __getattr__(self, name: str):
        return getattr(self.adapter, name)

    def write(self, rows: torch.Tensor, pictures_BCHW: torch.Tensor) -> None:
        self.written.append(pictures_BCHW.clone())
        self.adapter.write(rows, pictures_BCHW)


def test_the_adapter_is_shown_the_last_output_where_it_went_and_the_input_elsewhere(nano):
    built = nano.built
    adapter = Recording(built.engine.adapter)
    engine = Engine(built.model, adapter, built.device, torch.float32)
    video = sliding(6, 3, 128, 64)
    with Stylizer(replace(built, engine=engine)) as stylizer:
        styled = run(stylizer, video, size="128x64", batch=1)
    written = pixels.to_bytes(torch.cat(adapter.written)).numpy().astype(float)
    outputs, inputs = levels(styled), np.stack(video).astype(float)
    for number in range(1, 6):  # the texture moves 2 pixels to the left a frame
        shown, inside = written[number - 1], slice(16, 96)
        moved = np.roll(outputs[number - 1], -2, axis=1)
        assert np.abs(shown[:, inside] - moved[:, inside]).mean() < 6
        assert np.abs(shown[:, inside] - outputs[number - 1][:, inside]).mean() > 12
        assert np.abs(shown[:, -1] - inputs[number][:, -1]).mean() < 1


def test_conditioning_that_is_reused_still_acts(nano):
    schedule = Schedule(cond_every=1000)
    held, loose = (run(nano, SCENE, schedule=schedule, stability=s, batch=2) for s in (1.0, 0.0))
    assert {s.plan.conditioning for s in held[4:]} == {"reuse"}
    assert distance(held[4:], loose[4:]) >= 8


def test_a_reset_forgets(nano):
    with nano.open("ink", **SMALL) as stream:
        list(stream.run(frames(SCENE[:6])))
        stream.reset()
        again = list(stream.run(frames(SCENE[:6])))
    assert furthest(again, run(nano, frames(SCENE[:6]), "ink")) == 0


# 8. Bad numbers never reach a viewer.


class Failing:
    """An EditModel that gives no finite picture for some calls."""

    def __init__(self, model, calls: set[int]) -> None:
        self.model = model
        self.calls = calls
        self.count = 0

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        self.count += 1
        pictures = self.model.decode(latents_BCHW)
        if self.count in self.calls:
            pictures[0] = float("nan")
        return pictures


def failing(nano: Stylizer, calls: set[int]) -> Stylizer:
    built = nano.built
    model = Failing(built.model, calls)
    engine = Engine(model, built.engine.adapter, built.device, torch.float32)
    return Stylizer(replace(built, engine=engine))


def test_a_frame_that_is_not_finite_shows_the_last_good_one(nano):
    with failing(nano, {3}) as stylizer:
        styled = run(stylizer, SCENE, batch=1)
    assert [s.good for s in styled] == [True, True, False] + [True] * 9
    assert np.array_equal(styled[2].pixels, styled[1].pixels)
    assert stylizer.built.engine.render.failed == 1
    assert "failed" in {why for s in styled for why in s.plan.reasons}


def test_without_a_good_frame_yet_the_input_is_shown(nano):
    with failing(nano, {1}) as stylizer:
        styled = run(stylizer, SCENE[:2], batch=1)
    assert np.array_equal(styled[0].pixels, styled[0].source.pixels)
    assert styled[1].good


class Full:
    """An EditModel on a device without memory."""

    def __init__(self, model) -> None:
        self.model = model

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def encode_image(self, pictures_BCHW: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError


def test_out_of_memory_is_one_sentence(nano):
    built = nano.built
    engine = Engine(Full(built.model), None, built.device, torch.float32)
    with Stylizer(replace(built, engine=engine)) as stylizer, pytest.raises(EngineError) as caught:
        run(stylizer, SCENE[:2])
    assert str(caught.value) == "cpu has not enough memory for this: use a smaller batch or size"


# 9. Memory does not grow with the length of the video.


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.timeout(600)
def test_two_thousand_frames_grow_the_process_by_less_than_20_mb(nano):
    def endless() -> Iterator[Pixels]:
        scene = sliding(40, 3, 64, 64)
        for number in range(2000):
            yield scene[number % 40 if number // 40 % 2 == 0 else 39 - number % 40]

    with nano.open("ink", size="64x64", batch=8) as stream:
        for number, _ in enumerate(stream.run(endless())):
            if number == 200:
                before = resident_mb()
    assert resident_mb() - before < 20


def test_controls_are_checked_when_they_are_set(nano):
    with nano.open("ink", **SMALL) as stream:
        with pytest.raises(ValueError, match="prompt is empty"):
            stream.controls = Controls(prompt="  ")
        assert stream.controls.prompt == "ink"
