"""A killed process leaves a file that plays."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sidestream.media.open import open_source

WRITER = """
import sys
from fractions import Fraction
import numpy as np
from sidestream.config import Size
from sidestream.media.sink import open_sink
from sidestream.types import Controls, Frame, Plan, Styled

random, size = np.random.default_rng(0), Size(128, 96)
with open_sink(
    sys.argv[1], size=size, rate=Fraction(24), source_path=sys.argv[2] or None, metadata={"seed": "1"}
) as sink:
    for i in range(10_000):
        frame = Frame(random.integers(0, 255, (96, 128, 3), np.uint8), i, Fraction(1, 24), i)
        sink.write(Styled(frame, frame, Plan(1, size, "per_frame", "none", 0), Controls(prompt="x")))
        print(i + 1, flush=True)
"""


@pytest.mark.parametrize("sound", [None, "aac"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm"])
def test_kill_costs_no_more_than_a_second(make, name, sound):
    heard = make.video("in.mp4", 24, sound=sound) if sound else ""
    command = [sys.executable, "-c", WRITER, str(make.folder / name), str(heard)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for line in writer.stdout:
            if int(line) == 100:
                writer.send_signal(signal.SIGKILL)
                break
        written = max([100, *(int(line) for line in writer.stdout)])
    part = make.folder / name.replace(".", ".part.")
    assert not (make.folder / name).exists()
    with open_source(part) as source:
        count = len(list(source))
    assert count >= written - 24 and source.warnings == []
