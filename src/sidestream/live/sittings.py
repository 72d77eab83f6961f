"""The worker's side of the seats: whose frames wait, what they asked for, who is left out for a while."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from sidestream import scene, schedule
from sidestream.batching import Waiting, key_of
from sidestream.config import StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.errors import SidestreamError
from sidestream.live.autopilot import Effort
from sidestream.live.shared import Board, Letter, Place, Tag
from sidestream.live.studio import Origin
from sidestream.live.wishes import Wish
from sidestream.schedule import Stillness
from sidestream.stream import Read, Stream
from sidestream.types import Pixels

UNCHANGED = "keep this as it is"
"""What holds for a new seat whose own prompt the model refuses."""
FAILING = "This picture could not be restyled several times: trying again soon."


@dataclass(eq=False)
class Sitting:
    """One viewer in the worker: their stream, the frame that waits, what was made last."""

    place: Place
    tenancy: int
    stream: Stream
    revision: int = 0
    """Of the controls that hold."""
    letter: Letter | None = None
    """The newest frame that has entered no batch."""
    taken: int = 0
    """Number of the last frame that was looked at."""
    since: float = 0.0
    served: float = -inf
    made: tuple[int, Pixels] | None = None
    """The last good picture and the revision it was made with."""
    still: Stillness = Stillness()
    strikes: int = 0
    """Failures in a row."""
    barred_until: float = 0.0
    refused: str = ""
    """Why what the viewer asked for last does not hold."""

    @property
    def notice(self) -> str:
        return self.refused or (FAILING if self.barred_until else "")

    def look(self) -> bool:
        """Whether a frame came in since."""
        letter = self.place.frames.take(self.taken)
        if letter is None:
            return False
        self.taken = letter.sequence
        if letter.tag.tenancy != self.tenancy:
            return False
        if self.letter is None:
            self.since = letter.tag.arrived
        self.letter = letter
        return True

    def show(self, pixels: Pixels, tag: Tag, revision: int, origin: Origin = "restyled") -> None:
        """The picture of a frame goes to the viewer."""
        if origin == "restyled":
            self.strikes, self.barred_until, self.made = 0, 0.0, (revision, pixels)
        tag = replace(tag, revision=revision, tenancy=self.tenancy, origin=origin)
        self.place.pictures.put(np.ascontiguousarray(pixels), tag)

    def strike(self, now: float, config: LiveConfig) -> None:
        """A frame failed alone: after some of those in a row the stream is left out for a while."""
        self.strikes += 1
        self.stream.renew("failed")
        if (over := self.strikes - config.strikes) >= 0:
            self.barred_until = now + config.timeout_after_strikes * 2 ** min(over, 5)


@dataclass(eq=False)
class Sittings:
    """Owns the sittings, by number of the seat. Used by one lane at a time."""

    board: Board
    read: Read
    config: StreamConfig
    live: LiveConfig
    effort: Effort = Effort()
    """What may be spent on a picture at the moment."""
    skipped: int = 0
    """Still frames that cost nothing."""
    known: dict[int, Sitting] = field(default_factory=dict[int, Sitting])

    def __post_init__(self) -> None:
        self._wishes = [0] * len(self.board.places)

    @property
    def steps(self) -> int:
        """The most that anybody asks for."""
        return max((one.stream.controls.steps for one in self.known.copy().values()), default=1)

    def waiting(self, now: float) -> list[Waiting]:
        """Who waits, after a look into every mailbox: frames first, so that no frame gets older controls."""
        for one in self.known.values():
            one.look()
        self._refresh()
        for one in self.known.values():
            if self.live.skip_still and one.letter is not None:
                self._skip_still(one, one.letter, now)
        return [
            self._waiting(number, one, one.letter)
            for number, one in self.known.items()
            if one.letter is not None and one.barred_until <= now
        ]

    def spend(self, effort: Effort) -> None:
        """Every stream's pictures cost so much from now on."""
        self.effort = effort
        for one in self.known.values():
            one.stream.config = self._config()

    def notices(self, now: float) -> dict[str, tuple[int, str, bool]]:
        """By seat: whose it is, what is to be said to them, and whether they are left out."""
        keeping_up = f"To keep up: {words}." if (words := self.effort.words) else ""
        return {
            str(number): (one.tenancy, one.notice or keeping_up, one.barred_until > now)
            for number, one in self.known.copy().items()
            if one.notice or keeping_up
        }

    def _config(self) -> StreamConfig:
        return replace(self.config, schedule=self.effort.schedule_of(self.config.schedule))

    def _refresh(self) -> None:
        """Reads what the seats ask for."""
        for number, place in enumerate(self.board.places):
            letter = place.wishes.take(self._wishes[number])
            if letter is not None:
                self._wishes[number] = letter.sequence
                self._grant(number, place, Wish.read(letter.words))

    def _grant(self, number: int, place: Place, wish: Wish) -> None:
        if not wish.taken:
            self.known.pop(number, None)
            return
        known = self.known.get(number)
        new = known is None or known.tenancy != wish.tenancy
        if known is None or new:
            stream = Stream(wish.controls, self._config(), self.read, number)
            known = self.known[number] = Sitting(place, wish.tenancy, stream)
        try:
            known.stream.controls = wish.controls
        except SidestreamError as error:
            # What was asked for before stays; where there is nothing, the picture as it is.
            known.refused = f"{error}."
            if new:
                known.stream.controls = replace(wish.controls, prompt=UNCHANGED)
            return
        known.revision, known.refused = wish.controls.revision, ""

    def _waiting(self, number: int, one: Sitting, letter: Letter) -> Waiting:
        stream, controls = one.stream, self.effort.controls_of(one.stream.controls)
        small = self.effort.size_of(letter.size)
        key = key_of(small, controls, stream.read(controls), stream.config)
        return Waiting(number, key, letter.tag.arrived, one.since, one.served)

    def _skip_still(self, one: Sitting, letter: Letter, now: float) -> None:
        """A frame that looks like the one restyled last shows that one's picture, with its own time."""
        stream, change = one.stream, None
        seen = stream.planned.seen
        made = one.made
        same = made is not None and made[0] == one.revision and made[1].shape == letter.data.shape
        if seen is not None and same and seen[0] == stream.epoch:
            change = scene.compare(seen[1], scene.thumbnail(letter.data))
        skip, one.still = schedule.skip(self.live, one.still, change, now)
        if skip and made is not None:
            one.letter = None
            self.skipped += 1
            one.show(made[1], letter.tag, one.revision)
