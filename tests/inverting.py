"""A studio without a model: it inverts colours, in a thread of its own, so that pictures come some time later."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from sidestream.live.studio import Shown, State
from sidestream.types import Controls, Pixels


class Inverter:
    """A Seat. Like the real one it keeps the newest frame only."""

    def __init__(self, controls: Controls, seconds: float = 0.01) -> None:
        self.controls = controls
        self.history: list[Controls] = []
        self.sizes: set[tuple[int, ...]] = set()
        self._seconds = seconds
        self._came = threading.Condition()
        self._waiting: tuple[Pixels, float, int] | None = None
        self._shown: Shown | None = None
        self._open = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def change(self, controls: Controls) -> int:
        self.controls = replace(controls, revision=self.controls.revision + 1)
        self.history.append(self.controls)
        return self.controls.revision

    def submit(self, pixels: Pixels, stamp: float) -> None:
        with self._came:
            self.sizes.add(pixels.shape[:2])
            self._waiting = (pixels, stamp, self.controls.revision)
            if self._shown is None:
                self._shown = Shown(pixels, stamp, 0, 0, "source", "The model is being loaded.")
            self._came.notify()

    def shown(self) -> Shown | None:
        return self._shown

    def stats(self) -> Mapping[str, float]:
        return {"fps": 1.0}

    def close(self) -> None:
        with self._came:
            self._open = False
            self._came.notify()
        self._thread.join()

    def _work(self) -> None:
        number = 0
        while True:
            with self._came:
                self._came.wait_for(lambda: self._waiting is not None or not self._open)
                if not self._open or self._waiting is None:
                    return
                (pixels, stamp, revision), self._waiting = self._waiting, None
            time.sleep(self._seconds)
            number += 1
            self._shown = Shown(255 - pixels, stamp, number, revision)


class InvertingStudio:
    """A Studio with a single seat."""

    def __init__(self, state: State = State("ok"), seconds: float = 0.01) -> None:
        self.state = state
        self.seats: list[Inverter] = []
        self.closed = False
        self._seconds = seconds

    def open(self, controls: Controls) -> Inverter:
        self.seats.append(Inverter(controls, self._seconds))
        return self.seats[-1]

    def stats(self) -> Mapping[str, float]:
        return {"seats": len(self.seats)}

    def drain(self, seconds: float) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class StillSeat:
    """A Seat that only notes what it is asked for."""

    def __init__(self, controls: Controls = Controls(prompt="as it is")) -> None:
        self.controls = controls

    def change(self, controls: Controls) -> int:
        self.controls = replace(controls, revision=self.controls.revision + 1)
        return self.controls.revision

    def submit(self, pixels: Pixels, stamp: float) -> None:
        pass

    def shown(self) -> Shown | None:
        return None

    def stats(self) -> Mapping[str, float]:
        return {}

    def close(self) -> None:
        pass
