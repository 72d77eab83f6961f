"""All sessions: how many there may be, who waits for a seat, and the watch that ends what is over."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Callable

from sidestream.config_live import SERVER_LIMITS, ServerConfig, ServerLimits
from sidestream.errors import ConfigError, FullError
from sidestream.live.studio import Health, Seat, State, Studio
from sidestream.server.forms import Change
from sidestream.server.line import Line
from sidestream.server.refusal import Refusal, impossible
from sidestream.server.security import is_loopback
from sidestream.server.session import Session
from sidestream.types import Controls

TICK = 0.05
REPORT = 1.0


class Sessions:
    """Owns the sessions and the queue. Everything happens on the event loop."""

    def __init__(
        self,
        studio: Studio,
        config: ServerConfig,
        base: Controls,
        *,
        limits: ServerLimits = SERVER_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base` is what a session has that asks for nothing."""
        self.studio = studio
        self.limits = limits
        self.clock = clock
        self.line = Line(limits)
        self.draining = False
        self.hurried = False
        """Nobody is waited for any more."""
        self.counts: dict[str, int] = {"opened": 0, "closed": 0, "refused": 0, "failed": 0}
        self.seats = config.seats
        self._interpolate = config.interpolate
        self._base = base
        self._open: dict[str, Session] = {}
        self._reported = 0.0
        self._logged = ""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def health(self) -> Health:
        return "draining" if self.draining else self.studio.state.health

    def open(
        self,
        change: Change | None,
        *,
        ticket: str | None = None,
        name: str | None = None,
        address: str = "",
    ) -> Session:
        """A session of its own seat; refused while there is none."""
        controls = (change or Change()).onto(self._base)
        try:
            if self.draining:
                raise Refusal(503, "draining", "The server is being restarted.", retry_after=3)
            if name in self._open:
                raise Refusal(409, "taken", "A session of this name is open: choose another.")
            self._check_share(address)
            self.line.enter(ticket, self.seats - len(self._open), self.clock())
            seat = self._seat(controls, ticket)
        except Refusal:
            self.counts["refused"] += 1
            raise
        session = Session(
            seat,
            self.clock,
            name=name,
            address=address,
            limits=self.limits,
            interpolate=self._interpolate,
        )
        self._open[session.id] = session
        self.counts["opened"] += 1
        return session

    def get(self, name: str) -> Session:
        if name not in self._open:
            raise Refusal(404, "session", "There is no such session, or it has ended.")
        return self._open[name]

    async def close(self, session: Session, reason: str) -> None:
        if self._open.pop(session.id, None) is not None:
            self.counts["closed"] += 1
            await session.close(reason)

    async def watch(self) -> None:
        """Runs as long as the server."""
        while True:
            await asyncio.sleep(TICK)
            await self.tick()

    async def tick(self) -> None:
        """One look at every session. What goes wrong in one ends that one."""
        state, now = self.studio.state, self.clock()
        self._log(state)
        report = now - self._reported >= REPORT
        self._reported = now if report else self._reported
        self.line.expire(now)
        for session in list(self._open.values()):
            try:
                reason = session.check(state)
                if reason:
                    await self.close(session, reason)
                elif report:
                    session.report(state)
            except Exception:  # noqa: BLE001 - whatever it was, the others go on
                self.counts["failed"] += 1
                traceback.print_exc(file=sys.stderr)
                await self._drop(session)

    def _log(self, state: State) -> None:
        """Why the model does not run, once; callers are told only that it does not."""
        if state.cause != self._logged:
            self._logged = state.cause
            sys.stderr.write(f"the model does not run: {state.cause}\n")

    async def drain(self) -> None:
        """Tells everybody, waits for them a little, and closes what is left."""
        self.draining = True
        for session in self._open.values():
            session.tell({"type": "draining", "reason": "The server is being restarted."})
        end = time.monotonic() + self.limits.drain_seconds
        while self._open and not self.hurried and time.monotonic() < end:
            await asyncio.sleep(TICK)
            await self.tick()
        leaving = [self.close(one, "The server was stopped.") for one in list(self._open.values())]
        await asyncio.gather(*leaving, return_exceptions=True)

    def _check_share(self, address: str) -> None:
        """This machine's own address is nobody's in particular: it may be a proxy's."""
        most = self.limits.sessions_per_address
        here = sum(one.address == address for one in self._open.values())
        if address and not is_loopback(address) and here >= most:
            raise Refusal(
                429,
                "share",
                f"From your address {most} sessions are open, which is the most: end one.",
            )

    def _seat(self, controls: Controls, ticket: str | None) -> Seat:
        try:
            return self.studio.open(controls)
        except FullError:
            # The studio has fewer seats than we were told, or frees one later: nobody's turn yet.
            self.line.enter(ticket, 0, self.clock())
            raise
        except ConfigError as error:
            raise impossible(error) from error

    async def _drop(self, session: Session) -> None:
        try:
            await self.close(session, "Something went wrong in this session.")
        except Exception:  # noqa: BLE001 - it has left the table already
            traceback.print_exc(file=sys.stderr)
