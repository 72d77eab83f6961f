"""Memory that two processes share: mailboxes where the newest letter wins. No locks between them, nothing that waits.

The studio's process writes what each seat asks for and its frames; the worker writes pictures and how it does. Either
may be killed at any time: a letter half written is never read, and the other process goes on.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream.config import Size
from sidestream.errors import EngineError
from sidestream.live.studio import Origin

LINE = 64
"""Bytes of a cache line: what both sides write lies in lines of its own."""
NOTE_BYTES = 32_768
"""Room for one letter of words: the controls of a seat, or how the worker does."""

ORIGINS: tuple[Origin, ...] = ("restyled", "held", "source")

HEADER = np.dtype(
    [
        ("begun", "<i8"),
        ("length", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("stamp", "<f8"),
        ("arrived", "<f8"),
        ("revision", "<i8"),
        ("tenancy", "<i8"),
        ("origin", "<i4"),
        ("spare", "<i4"),
        ("sequence", "<i8"),
    ]
)


@dataclass(frozen=True)
class Tag:
    """What is written on a letter."""

    stamp: float = 0.0
    """When its frame was captured, as the front end said."""
    arrived: float = 0.0
    """When its frame was handed in, by this machine's monotonic clock."""
    revision: int = 0
    """Of the controls that a picture was made with."""
    tenancy: int = 0
    """Which viewer of the seat it belongs to: seats are taken by one after the other."""
    origin: Origin = "restyled"
    """Of a picture."""


@dataclass(frozen=True, eq=False)
class Letter:
    sequence: int
    """From 1, raised by every letter of its mailbox."""
    tag: Tag
    data: NDArray[np.uint8]

    @property
    def size(self) -> Size:
        return Size(self.data.shape[1], self.data.shape[0])

    @property
    def words(self) -> dict[str, Any]:
        return json.loads(self.data.tobytes())


class Mailbox:
    """One writer, one reader, two slots: the newest letter stays whole while the next is being written.

    A slot's number is written before and after its letter, and the mailbox's last; a reader copies the letter and looks
    at the numbers again. That relies on stores being seen in order, as they are on x86, and on ARM as far as a Python
    interpreter between two stores goes.
    """

    def __init__(self, memory: memoryview, room: int) -> None:
        self._memory = memory
        self._room = room
        self._lock = threading.Lock()

    @staticmethod
    def bytes_for(room: int) -> int:
        return LINE + 2 * (2 * LINE + _whole_lines(room))

    @property
    def newest(self) -> int:
        """The number of the newest letter; 0 where there is none."""
        with self._lock:
            return int(self._count()[0]) if self._memory else 0

    def put(self, data: NDArray[np.uint8], tag: Tag = Tag()) -> int:
        """Writes a letter over the older of the two; its number."""
        with self._lock:
            if not self._memory:
                return 0
            if data.nbytes > self._room:
                raise EngineError(
                    f"a letter of {data.nbytes} bytes does not fit in a mailbox of {self._room}"
                )
            sequence = int(self._count()[0]) + 1
            header, body = self._slot(sequence)
            header["begun"] = sequence
            shape = data.shape if data.ndim == 3 else (0, 0)
            header["length"], header["height"], header["width"] = data.nbytes, shape[0], shape[1]
            header["stamp"], header["arrived"] = tag.stamp, tag.arrived
            header["revision"], header["tenancy"] = tag.revision, tag.tenancy
            header["origin"] = ORIGINS.index(tag.origin)
            body[: data.nbytes] = data.reshape(-1)
            header["sequence"] = sequence
            self._count()[0] = sequence
            return sequence

    def write(self, words: Mapping[str, Any]) -> int:
        """A letter of words."""
        return self.put(np.frombuffer(json.dumps(words).encode(), np.uint8))

    def take(self, after: int = 0) -> Letter | None:
        """A copy of the newest letter; None where it is not newer than `after`, or is being written over."""
        with self._lock:
            sequence = int(self._count()[0]) if self._memory else 0
            if sequence <= after:
                return None
            header, body = self._slot(sequence)
            if header["sequence"] != sequence:
                return None
            found = header.copy()
            data = body[: int(found["length"])].copy()
            if header["begun"] != sequence:
                return None
        if found["height"]:
            data = data.reshape(int(found["height"]), int(found["width"]), 3)
        tag = Tag(
            float(found["stamp"]),
            float(found["arrived"]),
            int(found["revision"]),
            int(found["tenancy"]),
            ORIGINS[int(found["origin"])],
        )
        return Letter(sequence, tag, data)

    def close(self) -> None:
        """Lets go of the memory: nothing is written or read any more."""
        with self._lock:
            if self._memory:
                self._memory.release()
                self._memory = memoryview(b"")

    def _count(self) -> NDArray[np.int64]:
        return np.frombuffer(self._memory, np.int64, 1)

    def _slot(self, sequence: int) -> tuple[Any, NDArray[np.uint8]]:
        start = LINE + sequence % 2 * (2 * LINE + _whole_lines(self._room))
        header = np.frombuffer(self._memory, HEADER, 1, start)[0:1].reshape(())
        return header, np.frombuffer(self._memory, np.uint8, self._room, start + 2 * LINE)


@dataclass(frozen=True)
class Layout:
    """What a board has room for."""

    seats: int
    frame_bytes: int

    @property
    def rooms(self) -> list[int]:
        return [
            LINE,
            NOTE_BYTES,
            LINE,
            *[NOTE_BYTES, self.frame_bytes, self.frame_bytes] * self.seats,
        ]

    @property
    def bytes(self) -> int:
        return sum(map(Mailbox.bytes_for, self.rooms))

    def holds(self, size: Size) -> bool:
        return size.width * size.height * 3 <= self.frame_bytes


@dataclass(frozen=True, eq=False)
class Place:
    """The mailboxes of one seat."""

    wishes: Mailbox
    """To the worker: whether the seat is taken, and its controls."""
    frames: Mailbox
    """To the worker."""
    pictures: Mailbox
    """From the worker."""

    @property
    def boxes(self) -> tuple[Mailbox, ...]:
        return self.wishes, self.frames, self.pictures


class Board:
    """All mailboxes of a studio in one piece of shared memory. Whoever created it takes it away."""

    def __init__(self, memory: SharedMemory, layout: Layout, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self.layout = layout
        boxes = self._boxes()
        self.orders = next(boxes)
        """To the worker: the first letter asks it to end."""
        self.report = next(boxes)
        """From the worker: how it does."""
        self.pulse = next(boxes)
        """From the worker: every letter is a sign of life."""
        self.places = [Place(next(boxes), next(boxes), next(boxes)) for _ in range(layout.seats)]

    @classmethod
    def create(cls, layout: Layout) -> Board:
        memory = SharedMemory(create=True, size=layout.bytes)
        try:
            _reserve(memory, layout.bytes)
        except OSError as error:
            memory.close()
            memory.unlink()
            raise EngineError(
                f"there is no room for {layout.bytes // 2**20 + 1} MB of shared memory: ask for fewer seats or a"
                " smaller size, or give the container more (docker run --shm-size)"
            ) from error
        return cls(memory, layout, owner=True)

    @classmethod
    def attach(cls, name: str, layout: Layout) -> Board:
        return cls(SharedMemory(name), layout, owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    def close(self) -> None:
        own = (self.orders, self.report, self.pulse)
        for box in (*own, *(box for place in self.places for box in place.boxes)):
            box.close()
        self._memory.close()
        if self._owner:
            self._owner = False
            self._memory.unlink()

    def _boxes(self) -> Iterator[Mailbox]:
        start, whole = 0, memoryview(self._memory.buf or b"")
        for room in self.layout.rooms:
            size = Mailbox.bytes_for(room)
            yield Mailbox(whole[start : start + size], room)
            start += size


def _whole_lines(room: int) -> int:
    return -(-room // LINE) * LINE


def _reserve(memory: SharedMemory, size: int) -> None:
    """Takes the memory now: where it runs out later, a process is killed at its first touch."""
    descriptor: int | None = getattr(memory, "_fd", None)
    if descriptor is not None and descriptor >= 0 and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
