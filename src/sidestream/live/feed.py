"""From frames that wait to batches, and from what the engine made to the viewers. Knows streams and seats, no engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from sidestream.batching import Costs, admit, gather
from sidestream.config import Size, StreamConfig
from sidestream.config_live import LiveConfig
from sidestream.live.autopilot import Pilot
from sidestream.live.shared import Board, Letter
from sidestream.live.sittings import Sitting, Sittings
from sidestream.live.studio import Origin
from sidestream.media import pixels as shapes
from sidestream.stream import Read
from sidestream.types import Batch, Frame, Key, Styled

TICKS = Fraction(1, 1_000_000)
"""Time base of live frames; their real times stay on their letters."""
LEAD = 0.5
"""Share of a batch's time after which the next one is formed: what comes before its pictures takes about the rest."""
PATIENCE = 0.5
"""Seconds that the lane which forms batches waits for another one: it must be free before an error can be seen."""
Clock = Callable[[], float]


@dataclass(frozen=True, eq=False)
class Ticket:
    """A frame on its way through the engine."""

    sitting: Sitting
    letter: Letter
    revision: int


@dataclass(eq=False)
class Under:
    """A batch under way."""

    batch: Batch
    tickets: Sequence[Ticket]
    begun: float
    delivered: int = 0


@dataclass
class Counts:
    made: int = 0
    stale: int = 0
    bad: int = 0
    failed: int = 0
    batches: int = 0


@dataclass(eq=False)
class Feed:
    """Owns the batches that are under way. `batches` is pulled by one lane, all else is called by the one that renders."""

    board: Board
    read: Read
    config: StreamConfig
    live: LiveConfig = LiveConfig()
    clock: Clock = time.monotonic
    rest: Callable[[float], None] = time.sleep
    """Waits for so many seconds, or until something was handed in."""
    depth: int = 2
    """Batches that may be under way at once."""
    costs: dict[Key, Costs] = field(default_factory=dict[Key, Costs])
    counts: Counts = field(default_factory=Counts)
    _under: list[Under] = field(default_factory=list[Under])
    _delivered: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.largest = self.live.largest_batch
        self.sittings = Sittings(self.board, self.read, self.config, self.live)
        self.pilot = Pilot(self.live)

    @property
    def ended(self) -> bool:
        return self.board.orders.newest > 0

    def beat(self) -> None:
        """A sign of life."""
        self.board.pulse.put(np.zeros(1, np.uint8))

    def wait(self, seconds: float = 0.05) -> None:
        """Until a frame waits, or for so many seconds."""
        self.beat()
        if not self.sittings.waiting(self.clock()):
            self.rest(seconds)

    def batches(self) -> Iterator[Batch]:
        """Batches for as long as something waits, each formed as late as keeps the engine busy."""
        while not self.ended and self._room():
            batch = self._next()
            if batch is None:
                return
            yield batch

    def deliver(self, styled: Styled) -> None:
        """A frame came out: its picture goes to its seat, at the size that it came in with."""
        under = self._under[0]
        ticket = under.tickets[under.delivered]
        under.delivered += 1
        origin: Origin = "restyled"
        if not styled.good:
            origin = "source" if styled.pixels is styled.source.pixels else "held"
        self.counts.made += 1
        self.counts.bad += not styled.good
        picture = shapes.resize(styled.pixels, ticket.letter.size)
        ticket.sitting.show(picture, ticket.letter.tag, ticket.revision, origin)
        if self.live.autopilot:
            now = self.clock()
            self.pilot.note(now - ticket.letter.tag.arrived, now, self.sittings.steps)
        if under.delivered == len(under.tickets):
            self._through(under)

    def give_up(self) -> list[Ticket]:
        """After an error: the frames under way that came to nothing. Nothing is built on them."""
        lost = [ticket for under in self._under for ticket in under.tickets[under.delivered :]]
        with self._delivered:
            self._under.clear()
            self._delivered.notify_all()
        for ticket in lost:
            ticket.sitting.stream.renew("failed")
        return lost

    def again(self, ticket: Ticket) -> Iterator[Batch]:
        """A lost frame once more, alone."""
        yield self._admit([ticket], self.clock())

    def strike(self, ticket: Ticket) -> None:
        """A frame failed alone as well."""
        self.counts.failed += 1
        ticket.sitting.strike(self.clock(), self.live)

    def _room(self) -> bool:
        """Waits until the next batch should be formed, for it to be prepared when the engine is free."""
        patience = PATIENCE if self.depth > 1 else 0.0
        with self._delivered:
            room = self._delivered.wait_for(lambda: len(self._under) < self.depth, patience)
            if room and self._under:
                last = self._under[-1]
                cost = self.costs.get(last.batch.key, Costs()).of(len(last.tickets))
                pause = last.begun + LEAD * cost - self.clock()
                self._delivered.wait_for(lambda: not self._under, min(max(0.0, pause), patience))
        return room

    def _next(self) -> Batch | None:
        self.beat()
        if self.pilot.effort != self.sittings.effort:
            self.sittings.spend(self.pilot.effort)
        now = self.clock()
        found = gather(
            self.sittings.waiting(now),
            now,
            lambda key: self.costs.get(key, Costs()),
            latency=self.live.latency,
            max_age=self.live.max_age,
            largest=self.largest,
        )
        for one in found.stale:
            self.sittings.known[one.stream].letter = None
        self.counts.stale += len(found.stale)
        tickets: list[Ticket] = []
        for one in found.chosen:
            sitting = self.sittings.known[one.stream]
            letter, sitting.letter, sitting.served = sitting.letter, None, now
            if letter is not None:
                tickets.append(Ticket(sitting, letter, sitting.revision))
        return self._admit(tickets, now) if tickets else None

    def _admit(self, tickets: Sequence[Ticket], now: float) -> Batch:
        effort = self.sittings.effort
        batch = admit(
            [
                (_frame(one.letter, effort.size_of(one.letter.size)), one.sitting.stream)
                for one in tickets
            ],
            effort.controls_of,
        )
        with self._delivered:
            self._under.append(Under(batch, tickets, now))
        self.counts.batches += 1
        return batch

    def _through(self, under: Under) -> None:
        with self._delivered:
            self._under.remove(under)
            self._delivered.notify_all()
        key, seconds = under.batch.key, self.clock() - under.begun
        self.costs[key] = self.costs.get(key, Costs()).learn(under.batch.slots, seconds)


def _frame(letter: Letter, size: Size) -> Frame:
    return Frame(shapes.resize(letter.data, size), letter.sequence, TICKS, letter.sequence)
