"""Eight viewers for minutes, while one comes and goes rudely; `make soak` runs it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pictures import sliding
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.live import open_studio
from sidestream.types import Controls

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("SIDESTREAM_SOAK_SECONDS", "300"))
SIZE = Size(128, 128)
RATE = 15
PROMPTS = (
    "make it an oil painting",
    "invert the colors",
    "make it black and white",
    "make it night",
)
SETTLE = 15.0
BOUND = sum((LiveConfig().max_age, LiveConfig().late, LiveConfig().hold))
"""No picture is older: by then the viewer's own is shown."""


def resident_mb(pid: int | str = "self") -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(sizes: list[float]) -> float:
    """Over all samples, by their slope."""
    return float(np.polyfit(np.arange(len(sizes)), sizes, 1)[0] * len(sizes))


@pytest.mark.timeout(3600)
def test_eight_viewers_are_served_alike_for_minutes(capsys):
    scene = sliding(120, width=160, height=120)
    with open_studio(
        "nano", ModelConfig(), stream=StreamConfig(size=SIZE), seats=8, live=LiveConfig()
    ) as studio:
        seats = [studio.open(Controls(prompt=PROMPTS[n % 4], size=SIZE)) for n in range(8)]
        while studio.state.health == "starting":
            time.sleep(0.1)
        assert studio.worker_pid is not None
        ages: list[float] = []
        worker_mb: list[float] = []
        own_mb: list[float] = []
        begun = [0.0] * 8
        dropped, count, held = 0, 0, 0
        start = time.monotonic()
        settled = False
        while (now := time.monotonic()) < start + SETTLE + SECONDS:
            if not settled and now > start + SETTLE:
                settled, begun = True, [seat.stats()["made"] for seat in seats]
                begun[7] = 0.0
            if settled and now > start + SETTLE + 10 * (dropped + 1):
                dropped += 1
                seats[7].close()  # with a frame of theirs under way
                seats[7] = studio.open(Controls(prompt=PROMPTS[dropped % 4], size=SIZE))
            for place, seat in enumerate(seats):
                seat.submit(scene[(count + 15 * place) % 120], time.monotonic())
                shown = seat.shown()
                assert shown is not None
                if settled and place < 7:
                    held += shown.origin != "restyled"
                    ages.append(time.monotonic() - shown.stamp)
            if settled and count % (5 * RATE) == 0:
                worker_mb.append(resident_mb(studio.worker_pid))
                own_mb.append(resident_mb())
            count += 1
            time.sleep(max(0.0, start + count / RATE - time.monotonic()))
        rates = [
            (seat.stats()["made"] - b) / SECONDS for seat, b in zip(seats[:7], begun, strict=False)
        ]
        figures = {
            "seconds": SECONDS,
            "fps": [round(rate, 2) for rate in rates],
            "guests_dropped": dropped,
            "age_p50_p95_max": [round(float(np.percentile(ages, q)), 3) for q in (50, 95, 100)],
            "worker_mb": [round(growth(worker_mb), 1), *map(round, worker_mb)],
            "own_mb": [round(growth(own_mb), 1), *map(round, own_mb)],
            "held_share": held / len(ages),
            "studio": dict(studio.stats()),
            "handed_in_per_second": round(count / (SETTLE + SECONDS), 1),
        }
        with capsys.disabled():
            sys.stdout.write(f"\n{figures}\n")
        assert min(rates) >= 2
        assert min(rates) >= 0.8 * max(rates)
        assert max(ages) < BOUND
        assert growth(worker_mb[2:]) < 10
        assert growth(own_mb[2:]) < 10
        assert held < 0.02 * len(ages)
        assert studio.stats()["restarts"] == 0
