"""What live front ends talk to: a studio with seats, one for everybody who is being restyled.

A seat takes frames as they come and shows the newest picture made from them; nothing here ever waits for a model. What
stands behind it, a process of its own that may be replaced, is for the implementation to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sidestream.types import Controls, Pixels

Health = Literal["starting", "ok", "degraded", "draining", "failed"]
Origin = Literal["restyled", "held", "source"]
"""Restyled now; the last good picture again; the viewer's own, because there is no other yet."""


@dataclass(frozen=True)
class State:
    """How a studio does, for health checks and for the notice on a page."""

    health: Health
    reason: str = ""
    """One sentence for a viewer; empty when all is well."""
    cause: str = ""
    """For the log, where a studio has failed: it may name places of this machine."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The picture that a seat shows at the moment."""

    pixels: Pixels
    stamp: float
    """When the frame that it was made from was captured, as the front end said; seconds of a clock that never steps."""
    sequence: int
    """Raised by every new picture of the seat, so that a front end knows what it has shown already."""
    revision: int
    """Of the controls that it was made with."""
    origin: Origin = "restyled"
    notice: str = ""
    """One sentence for the viewer where it is not restyled."""


class Seat(Protocol):
    """One viewer's place. Called from one thread; no call waits for the model."""

    @property
    def controls(self) -> Controls: ...

    def change(self, controls: Controls) -> int:
        """Asks for other controls from the next frame on; what cannot be done is refused at once. Returns their revision."""
        ...

    def submit(self, pixels: Pixels, stamp: float) -> None:
        """Hands in a frame of any size; one that still waits is replaced by it."""
        ...

    def shown(self) -> Shown | None:
        """The newest picture. None until the first frame was handed in."""
        ...

    def stats(self) -> Mapping[str, float]:
        """Frames handed in, made, dropped and held, frames a second, and the age of what is shown, in seconds."""
        ...

    def close(self) -> None: ...


class Studio(Protocol):
    """Owns the model, wherever it runs."""

    @property
    def state(self) -> State: ...

    def open(self, controls: Controls) -> Seat:
        """A new seat; errors.FullError where all are taken."""
        ...

    def stats(self) -> Mapping[str, float]: ...

    def drain(self, seconds: float) -> None:
        """Takes no new seats, lets those that are taken end, and closes after that time at the latest."""
        ...

    def close(self) -> None: ...
