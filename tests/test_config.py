"""Every setting is checked where it is given."""

from __future__ import annotations

import pytest

from sidestream import ModelConfig, Size, StreamConfig, operating_point
from sidestream.config import LIMITS, Schedule, check_size
from sidestream.config_live import LiveConfig
from sidestream.errors import ConfigError, PromptError
from sidestream.types import Controls


@pytest.mark.parametrize(
    ("make", "field", "value", "says"),
    [
        (StreamConfig, "steps", 0, "steps must be from 1 to 8, got 0"),
        (StreamConfig, "steps", LIMITS.max_steps + 1, "steps must be from 1 to 8, got 9"),
        (StreamConfig, "seed", -1, "seed must be from 0"),
        (StreamConfig, "strength", 1.01, "strength must be from 0.0 to 1.0"),
        (StreamConfig, "stability", -0.1, "stability must be from 0.0"),
        (StreamConfig, "blend", 0.96, "blend must be from 0.0 to 0.95"),
        (ModelConfig, "flow_threads", 65, "flow_threads must be from 1 to 64"),
        (StreamConfig, "batch", 3, "batch must be 1, 2, 4, 8 or 16, got 3"),
        (Schedule, "text_every", 0, "text_every must be 1 or more"),
        (Schedule, "cond_every", 0, "cond_every must be 1 or more"),
        (Schedule, "motion_budget", 0.0, "motion_budget must be above 0"),
        (Schedule, "cut_threshold", 1.5, r"cut_threshold must be in \(0, 1\]"),
        (ModelConfig, "hooks", ("top",), "hooks must be among"),
        (ModelConfig, "vision_size", 100, "vision_size must be a multiple of 32"),
        (LiveConfig, "largest_batch", 3, "largest_batch must be 1, 2, 4, 8 or 16, got 3"),
        (LiveConfig, "restarts", -1, "restarts must be 0 or more, got -1"),
        (LiveConfig, "strikes", 0, "strikes must be 1 or more, got 0"),
        (LiveConfig, "still_frames", 0, "still_frames must be 1 or more, got 0"),
        (LiveConfig, "still_below", 1.5, "still_below must be from 0 to 1, got 1.5"),
        (LiveConfig, "smallest", 0.2, "smallest must be from 0.25 to 1, got 0.2"),
        *(
            (LiveConfig, name, value, f"{name} must be above 0 and at most a day, in seconds, got")
            for name in ("latency", "max_age", "hold", "stuck_after", "close_timeout", "still_age")
            for value in (0.0, -1.0, 1e6, float("nan"))
        ),
        (Controls, "steps", 99, "steps must be from 1 to 8, got 99"),
        (Controls, "strength", 2, "strength must be from 0 to 1"),
        (Controls, "seed", 2**63, "seed must be from 0"),
    ],
)
def test_a_value_beyond_its_bound_is_refused_with_both(make, field, value, says):
    with pytest.raises(ConfigError, match=says):
        make(**{field: value})


def test_a_size_that_is_not_allowed_names_the_two_nearest():
    with pytest.raises(
        ConfigError, match=r"width must be a multiple of 32 .* got 500: use 480 or 512"
    ):
        check_size(Size(500, 512))
    with pytest.raises(ConfigError, match=r"height .* got 8: use 32"):
        StreamConfig(size=Size(64, 8))
    with pytest.raises(ConfigError, match=r"width .* got 4096: use 2048"):
        Controls(size=Size(4096, 64))


@pytest.mark.parametrize("text", ["512", "x", "512x", "a x b", "512x288x3"])
def test_a_size_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigError, match="size must look like 512x288"):
        Size.parse(text)


def test_a_size_is_written_as_it_is_read():
    assert str(Size.parse("512X288")) == "512x288"


def test_operating_points_have_names():
    assert operating_point("quality").steps == 4
    assert operating_point("paper", steps=2).schedule.cond_every == 64
    assert operating_point("default") == StreamConfig()
    with pytest.raises(ConfigError, match="operating point must be default, paper"):
        operating_point("fast")


@pytest.mark.parametrize(
    "prompt",
    [
        (),
        (("a", -1.0), ("b", 2.0)),
        (("a", 0.0),),
        (("a", float("nan")),),
        (("a", float("inf")),),
        tuple([("a", 1.0)] * 5),
    ],
)
def test_weighted_prompts_need_sane_weights_and_number(prompt):
    with pytest.raises(PromptError):
        Controls(prompt=prompt)
