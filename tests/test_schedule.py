"""Where refreshes are decided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestream.config import Schedule, Size
from sidestream.schedule import Memory, plan
from sidestream.types import Controls, Plan

SIZE = Size(64, 64)
ASKED = Controls(prompt="oil")


def run(
    schedule: Schedule,
    lengths: list[int],
    *,
    motions: list[float] | None = None,
    prompts: dict[int, str] | None = None,
    cuts: tuple[int, ...] = (),
) -> list[Plan]:
    """The plans of batches of these lengths, with what happens at which batch."""
    memory, epoch, controls, plans = Memory(), 0, ASKED, []
    for number, frames in enumerate(lengths):
        controls = Controls(prompt=(prompts or {}).get(number, controls.prompt))
        epoch += number in cuts
        decided, memory = plan(
            schedule,
            memory,
            controls,
            frames=frames,
            size=SIZE,
            epoch=epoch,
            motion=(motions or [0.0] * len(lengths))[number],
            renewed="cut" if epoch else "start",
        )
        plans.append(decided)
    return plans


def test_the_first_batch_carries_nothing_over():
    first = run(Schedule(), [4])[0]
    assert (first.text, first.conditioning, first.reasons) == ("per_frame", "none", ("start",))


def test_conditioning_starts_with_the_second_batch_and_follows_its_interval():
    plans = run(Schedule(text_every=1, cond_every=64), [8] * 18)
    refreshed = [number for number, p in enumerate(plans) if p.conditioning == "refresh"]
    assert refreshed == [1, 9, 17]


@given(
    st.lists(st.integers(1, 16), min_size=1, max_size=60),
    st.integers(1, 100),
    st.integers(1, 100),
    st.booleans(),
)
def test_nothing_goes_stale_longer_than_its_interval(lengths, text_every, cond_every, first_only):
    schedule = Schedule(
        text_every=text_every, cond_every=cond_every, text_first_frame_only=first_only
    )
    text_age = cond_age = 0
    for frames, decided in zip(lengths, run(schedule, lengths), strict=True):
        text_age = {"per_frame": 0, "first_frame": frames - 1}.get(decided.text, text_age + frames)
        cond_age = 0 if decided.conditioning != "reuse" else cond_age + frames
        assert text_age < max(text_every, frames)
        assert cond_age < max(cond_every, frames)


@given(st.integers(1, 30), st.integers(1, 8))
def test_a_prompt_change_refreshes_text_and_conditioning_at_once(at, frames):
    schedule = Schedule(text_every=1000, cond_every=1000)
    plans = run(schedule, [frames] * (at + 3), prompts={at: "ink"})
    assert plans[at].reasons[0] == "prompt"
    assert (plans[at].text, plans[at].conditioning) == ("per_frame", "refresh")


@given(st.integers(1, 30), st.integers(1, 8))
def test_a_cut_refreshes_the_text_and_carries_no_conditioning(at, frames):
    schedule = Schedule(text_every=1000, cond_every=1000)
    plans = run(schedule, [frames] * (at + 3), cuts=(at,))
    assert (plans[at].text, plans[at].conditioning) == ("per_frame", "none")
    assert plans[at].reasons == ("cut",)
    assert plans[at + 1].conditioning == "refresh"


def test_weights_of_a_cross_fade_are_no_prompt_change():
    memory = Memory()
    first = Controls(prompt=(("oil", 0.9), ("ink", 0.1)))
    later = Controls(prompt=(("oil", 0.2), ("ink", 0.8)))
    schedule = Schedule(text_every=100, cond_every=100)
    for controls in (first, first):
        _, memory = plan(schedule, memory, controls, frames=1, size=SIZE, epoch=0)
    assert plan(schedule, memory, later, frames=1, size=SIZE, epoch=0)[0].text == "reuse"


def test_motion_refreshes_sooner_and_stillness_later_but_never_beyond_the_interval():
    schedule = Schedule(text_every=20, cond_every=20, motion_budget=0.5)
    moving = run(schedule, [1] * 40, motions=[0.2] * 40)
    still = run(schedule, [1] * 40, motions=[0.0] * 40)
    refreshes = [sum(p.conditioning == "refresh" for p in plans) for plans in (moving, still)]
    assert refreshes[0] > 3 * refreshes[1] > 0
    assert any("motion" in reason for p in moving for reason in p.reasons)
    assert not any("motion" in reason for p in still for reason in p.reasons)


def test_a_new_size_starts_anew():
    _, memory = plan(Schedule(), Memory(), ASKED, frames=1, size=SIZE, epoch=0)
    after, _ = plan(Schedule(), memory, ASKED, frames=1, size=Size(96, 64), epoch=0)
    assert (after.conditioning, after.reasons) == ("none", ("size",))
