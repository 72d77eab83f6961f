"""The worker's side of the seats: their frames into batches, their pictures out. Knows mailboxes and streams, no engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf

import numpy as np

from sidestream.batching import Costs, Gathered, Waiting, admit, gather, key_of
from sidestream.config import LiveConfig, StreamConfig
from sidestream.errors import SidestreamError
from sidestream.live.shared import Board, Letter, Place
from sidestream.live.studio import Origin
from sidestream.live.wishes import Wish
from sidestream.stream import Read, Stream
from sidestream.types import Batch, Frame, Key, Pixels, Styled

TICKS = Fraction(1, 1_000_000)
"""Time base of live frames."""
Clock = Callable[[], float]


@dataclass(eq=False)
class Sitting:
    """One viewer in the worker: their stream, the frame that waits, what was made last."""

    place: Place
    tenancy: int
    stream: Stream
    revision: int = 0
    letter: Letter | None = None
    """The newest frame that has entered no batch."""
    taken: int = 0
    """Number of the last frame that was looked at."""
    since: float = 0.0
    served: float = -inf
    last: Pixels | None = None
    strikes: int = 0
    barred_until: float = 0.0
    notice: str = ""


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
    tickets: list[Ticket]
    begun: float
    delivered: int = 0


@dataclass
class Counts:
    made: int = 0
    stale: int = 0
    bad: int = 0
    failed: int = 0
    batches: int = 0
    skipped: int = 0


@dataclass(eq=False)
class Feed:
    """Owns the sittings and the batches that are under way. `batches` is pulled by one lane, all else by the caller."""

    board: Board
    read: Read
    config: StreamConfig
    live: LiveConfig = LiveConfig()
    clock: Clock = time.monotonic
    wake: Callable[[float], None] = time.sleep
    """Waits for so many seconds, or until something was handed in."""
    depth: int = 2
    """Batches that may be under way at once."""
    sittings: dict[int, Sitting] = field(default_factory=dict[int, Sitting])
    costs: dict[Key, Costs] = field(default_factory=dict[Key, Costs])
    counts: Counts = field(default_factory=Counts)
    largest: int = 0
    _under: list[Under] = field(default_factory=list[Under])
    _delivered: threading.Condition = field(default_factory=threading.Condition)
    _beats: int = 0

    def __post_init__(self) -> None:
        self.largest = self.largest or self.live.largest_batch
        self._wishes = [0] * len(self.board.places)

    @property
    def ended(self) -> bool:
        return self.board.orders.newest > 0

    def beat(self) -> None:
        """A sign of life."""
        self.board.pulse.put(np.zeros(1, np.uint8))

    def batches(self) -> Iterator[Batch]:
        """Batches for as long as something waits; the next one when the one before the last is through.

        Waiting for that ends after a while, because the lane that pulls must be free before an error can be seen.
        """
        while not self.ended:
            with self._delivered:
                if not self._delivered.wait_for(lambda: len(self._under) < self.depth, 0.5):
                    return
            batch = self._next()
            if batch is None:
                return
            yield batch

    def wait(self, seconds: float = 0.05) -> None:
        self.beat()
        if not self._line():
            self.wake(seconds)

    def deliver(self, styled: Styled) -> None:
        """A frame came out: its picture goes to its seat."""
        under = self._under[0]
        ticket = under.tickets[under.delivered]
        under.delivered += 1
        sitting, tag = ticket.sitting, ticket.letter.tag
        origin: Origin = "restyled"
        if not styled.good:
            origin = "source" if styled.pixels is styled.source.pixels else "held"
        self.counts.made += 1
        self.counts.bad += not styled.good
        if styled.good:
            sitting.strikes, sitting.notice, sitting.last = 0, "", styled.pixels
        sitting.place.pictures.put(
            np.ascontiguousarray(styled.pixels),
            replace(tag, revision=ticket.revision, tenancy=sitting.tenancy, origin=origin),
        )
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
        """A frame failed alone as well: after some of those in a row its stream is left out for a while."""
        sitting = ticket.sitting
        sitting.strikes += 1
        self.counts.failed += 1
        sitting.stream.renew("failed")
        over = sitting.strikes - self.live.strikes
        if over >= 0:
            pause = self.live.timeout_after_strikes * 2 ** min(over, 5)
            sitting.barred_until = self.clock() + pause
            sitting.notice = "This picture could not be restyled several times: trying again soon."

    def notices(self) -> dict[str, tuple[int, str, bool]]:
        """By seat: whose it is, what is to be said to them, and whether they are left out."""
        now = self.clock()
        return {
            str(number): (one.tenancy, one.notice, one.barred_until > now)
            for number, one in self.sittings.copy().items()
            if one.notice
        }

    def refresh(self) -> None:
        """Reads what the seats ask for."""
        for number, place in enumerate(self.board.places):
            letter = place.wishes.take(self._wishes[number])
            if letter is not None:
                self._wishes[number] = letter.sequence
                self._grant(number, place, Wish.read(letter.words))

    def _grant(self, number: int, place: Place, wish: Wish) -> None:
        known = self.sittings.get(number)
        if not wish.taken:
            self.sittings.pop(number, None)
            return
        new = known is None or known.tenancy != wish.tenancy
        if known is None or new:
            stream = Stream(wish.controls, self.config, self.read, number)
            known = self.sittings[number] = Sitting(place, wish.tenancy, stream)
        try:
            self.read(wish.controls)
        except SidestreamError as error:
            # What was asked for before stays; where there is nothing, the seat waits for something better.
            known.notice = f"{error}."
            known.barred_until = inf if new else known.barred_until
            return
        known.stream.controls = wish.controls
        known.revision, known.notice = wish.controls.revision, ""
        known.barred_until = 0.0 if known.barred_until == inf else known.barred_until

    def _line(self) -> list[Waiting]:
        """Who waits, after a look into every mailbox: frames first, so that no frame gets older controls."""
        now = self.clock()
        for sitting in self.sittings.values():
            letter = sitting.place.frames.take(sitting.taken)
            if letter is None:
                continue
            sitting.taken = letter.sequence
            if letter.tag.tenancy == sitting.tenancy:
                if sitting.letter is None:
                    sitting.since = letter.tag.arrived
                sitting.letter = letter
        self.refresh()
        return [
            self._waiting(number, sitting, sitting.letter)
            for number, sitting in self.sittings.items()
            if sitting.letter is not None and sitting.barred_until <= now
        ]

    def _waiting(self, number: int, sitting: Sitting, letter: Letter) -> Waiting:
        stream = sitting.stream
        key = key_of(letter.data, stream.controls, stream.read(stream.controls), stream.config)
        return Waiting(number, key, letter.tag.arrived, sitting.since, sitting.served)

    def _next(self) -> Batch | None:
        self.beat()
        waiting = self._line()
        now = self.clock()
        found = gather(
            waiting,
            now,
            lambda key: self.costs.get(key, Costs()),
            latency=self.live.latency,
            max_age=self.live.max_age,
            largest=self.largest,
        )
        self._drop(found)
        tickets: list[Ticket] = []
        for one in found.chosen:
            sitting = self.sittings[one.stream]
            letter, sitting.letter, sitting.served = sitting.letter, None, now
            if letter is not None:
                tickets.append(Ticket(sitting, letter, sitting.revision))
        return self._admit(tickets, now) if tickets else None

    def _drop(self, found: Gathered) -> None:
        for one in found.stale:
            self.sittings[one.stream].letter = None
            self.counts.stale += 1

    def _admit(self, tickets: Sequence[Ticket], now: float) -> Batch:
        batch = admit([(_frame(ticket.letter), ticket.sitting.stream) for ticket in tickets])
        with self._delivered:
            self._under.append(Under(batch, list(tickets), now))
        self.counts.batches += 1
        return batch

    def _through(self, under: Under) -> None:
        with self._delivered:
            self._under.remove(under)
            self._delivered.notify_all()
        key = under.batch.key
        seconds = self.clock() - under.begun
        self.costs[key] = self.costs.get(key, Costs()).learn(under.batch.slots, seconds)


def _frame(letter: Letter) -> Frame:
    return Frame(letter.data, int(letter.tag.stamp / TICKS), TICKS, letter.sequence)
