"""What takes too long for every change; `make soak` runs it."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from pictures import sliding
from sidestream import Stylizer
from sidestream.bench import memory
from sidestream.config import Size, StreamConfig

pytestmark = pytest.mark.slow


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.timeout(3600)
def test_memory_stays_flat_over_thirty_thousand_frames(nano):
    scene = sliding(40, width=32, height=32)
    sizes: list[float] = []
    with nano.open("ink", size="32x32", batch=16) as stream:
        endless = (scene[number % 40] for number in range(30_000))
        for number, _ in enumerate(stream.run(endless)):
            if number % 1000 == 999:
                sizes.append(resident_mb())
    settled = np.array(sizes[6:])
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    assert slope * len(settled) < 10, f"{sizes}"


@pytest.mark.timeout(3600)
def test_neither_memory_nor_the_time_of_a_frame_grows_over_twenty_thousand_frames():
    with Stylizer.load("nano") as stylizer:
        config = StreamConfig(size=Size(64, 64), batch=8)
        points = list(memory.course(stylizer, config, 20_000))
    assert memory.growth(points)["resident_mb_per_1000"] < 0.5
    at = {point.frames: point.seconds for point in points}
    second, last = at[2000] - at[1000], at[20_000] - at[19_000]
    assert last < 1.05 * second


@pytest.mark.timeout(3600)
def test_five_hundred_streams_leave_nothing_behind(nano):
    """The allocator keeps what threads that came and went have used, up to a level: growth is what counts."""
    video = sliding(3, width=32, height=32)
    sizes: list[float] = []
    threads = 0
    for number in range(500):
        with nano.open("ink", size="32x32", batch=1) as stream:
            for _ in stream.run(video):
                if number % 2:
                    break
        if number % 20 == 19:
            gc.collect()
            sizes.append(resident_mb())
            threads = threads or threading.active_count()
    settled = np.array(sizes[5:])
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    assert threading.active_count() == threads
    assert slope * len(settled) < 10, f"{sizes}"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_any_time_loses_at_most_a_second(seed, tmp_path):
    """Kills the whole command, as a power cut would, and decodes what is on disk."""
    from sidestream.media.open import open_source

    out = tmp_path / "out.mp4"
    script = (
        "from fractions import Fraction; import numpy as np, sys\n"
        "from sidestream.config import Size\n"
        "from sidestream.media.sink import open_sink\n"
        "from sidestream.types import Controls, Frame, Plan, Styled\n"
        f"sink = open_sink({str(out)!r}, size=Size(64, 64), rate=Fraction(24), metadata={{}})\n"
        "plan = Plan(1, Size(64, 64), 'reuse', 'none', 0)\n"
        "for n in range(100000):\n"
        "    f = Frame(np.random.default_rng(n).integers(0, 255, (64, 64, 3), np.uint8), n, Fraction(1, 24), n)\n"
        "    sink.write(Styled(f, f, plan, Controls(prompt='x')))\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        stop_at = random.Random(seed).randrange(40, 400)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= stop_at:
                process.send_signal(signal.SIGKILL)
                break
    (part,) = tmp_path.glob("out*.part*")
    with open_source(part) as source:
        assert sum(1 for _ in source) >= stop_at - 24
