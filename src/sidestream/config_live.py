"""Settings and bounds of what runs live: studio, server, command line. Imports neither torch nor any codec."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from sidestream.config import BATCH_SIZES, LIMITS, Size, at_least, either, seconds, within
from sidestream.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """Bounds on what a browser, or anybody else who reaches the server, may ask of it. Times are in seconds."""

    body_bytes: int = 64 * 1024
    body_seconds: float = 10.0
    sdp_bytes: int = 32 * 1024
    sdp_media: int = 4
    sdp_candidates: int = 32
    message_bytes: int = 16 * 1024
    """Of one message on a data channel."""
    unread_bytes: int = 128 * 1024
    """Of messages that are not whole yet, or wait for one before them; what sends more is closed."""
    unread_pieces: int = 1024
    """That those may come in."""
    bad_messages: int = 10
    """After so many that cannot be read, a connection is closed."""
    calls_per_second: float = 50.0
    """From one address, each of them answered; bursts may be twice as long."""
    request_seconds: float = 15.0
    """A connection without a whole request, or between two of them, is cut off after this."""
    connections_per_address: int = 64
    """Of HTTP; what is beyond is told to come later."""
    sessions_per_address: int = 4
    """From one address, this machine's own left out: that may be a proxy's."""
    addresses: int = 1024
    """Addresses whose calls and failed logins are remembered."""
    failed_logins: int = 10
    """Of one address, before it is told to wait."""
    lockout_seconds: float = 300.0
    wrong_tokens_per_second: float = 20.0
    """From all addresses; above that no token is looked at but from addresses that gave the right one before."""
    changes_per_second: float = 5.0
    """Of a session's controls; of those that come faster the latest wins."""
    negotiate_seconds: float = 8.0
    connect_seconds: float = 10.0
    pause_seconds: float = 2.0
    """Without a frame, a session's picture is called stopped."""
    close_seconds: float = 10.0
    """Without a frame, a session is closed."""
    unwatched_seconds: float = 60.0
    """Without anybody who watches, a session is closed."""
    session_seconds: float = 4 * 3600.0
    waiting: int = 64
    """Places in the queue for a seat."""
    ticket_seconds: float = 15.0
    """A place in the queue is kept so long without being asked for."""
    peers_in_session: int = 4
    received_pixels: int = 2048 * 2048
    """A received picture that has more is dropped before it is decoded."""
    max_side: int = 1280
    """A received picture is made smaller than this before anything is done with it."""
    drain_seconds: float = 1.0
    """After a signal to stop, sessions may go on for so long."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"{name} must be above 0, got {value}")


SERVER_LIMITS = ServerLimits()


MIN_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the server listens, whom it lets in, and how browsers reach it."""

    host: str = "127.0.0.1"
    """Address to listen on; one that others can reach needs a token."""
    port: int = 8000
    """Port to listen on; 0 takes one that is free."""
    token: str | None = field(default=None, repr=False)
    """What callers must know, 16 characters or more; random makes one. Better given in SIDESTREAM_TOKEN, where no process list shows it."""
    tls: bool = False
    """Serve https with a certificate of our own making; browsers give a page its camera only there, or on this machine itself."""
    tls_folder: Path = Path("~/.config/sidestream/tls")
    """Where that certificate is kept, or cert.pem and key.pem of your own."""
    allow_host: tuple[str, ...] = ()
    """More host names that the server answers to, such as the one that a proxy uses. Any but this machine's own needs a token."""
    allow_origin: tuple[str, ...] = ()
    """Other sites whose pages may send by WHIP and watch by WHEP, such as https://studio.example."""
    seats: int = 8
    """People who are restyled at once; who comes later waits in a queue."""
    stun: str | None = None
    """A STUN server, such as stun:stun.example.org:3478."""
    turn: str | None = None
    """A TURN server, such as turn:turn.example.org:3478; its password is taken from SIDESTREAM_TURN_PASSWORD."""
    turn_user: str | None = None
    """User name at the TURN server."""
    interpolate: bool = False
    """Dissolve each restyled picture into the next, up to 30 a second; each is then shown up to one picture later, and fps counts none of those between."""

    def __post_init__(self) -> None:
        within(0, 65535, port=self.port)
        within(1, LIMITS.max_streams, seats=self.seats)
        if self.token is not None and len(self.token) < MIN_TOKEN and self.token != "random":
            raise ConfigError(
                f"token must have {MIN_TOKEN} characters or more, or be random, got {len(self.token)}"
            )
        if self.turn_user is not None and self.turn is None:
            raise ConfigError("turn_user is of no use without a TURN server: name that as well")
        for origin in self.allow_origin:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", origin):
                raise ConfigError(
                    f"allow_origin must be like https://studio.example, in small letters and without a path, got {origin!r}"
                )
        for name, given, kinds in (
            ("stun", self.stun, ("stun:", "stuns:")),
            ("turn", self.turn, ("turn:", "turns:")),
        ):
            if given is not None and not given.startswith(kinds):
                raise ConfigError(f"{name} must begin with {kinds[0]}, got {given!r}")


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """How live streams are served, and when the process that serves them is replaced. Times in seconds."""

    latency: float = 0.25
    """Seconds aimed at, from a frame's arrival to its restyled picture."""
    max_age: float = 1.0
    """A frame that has waited more seconds than this is not begun any more."""
    largest_batch: int = 8
    """Frames of different viewers that share a batch at most: 1, 2, 4, 8 or 16."""
    late: float = 1.0
    """A picture counts as held when a newer frame has waited so many seconds."""
    hold: float = 2.0
    """Seconds for which the last good picture is shown when no new one comes; then the viewer's own."""
    stuck_after: float = 10.0
    """A process that shows no sign of life for so many seconds is replaced."""
    start_timeout: float = 600.0
    """The same while the model loads and warms up."""
    restarts: int = 3
    """How often the process is replaced within `restart_window`; after that the studio has failed."""
    restart_window: float = 60.0
    """Seconds within which `restarts` counts."""
    backoff: float = 0.5
    """Seconds before the second replacement in a row; doubles with each."""
    close_timeout: float = 2.0
    """Seconds that the process has to end by itself."""
    strikes: int = 3
    """Failures in a row after which a stream is left out for a while."""
    timeout_after_strikes: float = 2.0
    """Seconds of that while; doubles with each failure that follows, up to 32 times."""
    skip_still: bool = False
    """Frames of a still picture show the last result again and cost nothing."""
    still_below: float = 0.025
    """A picture is still when no small part of it changed by more since it was restyled; once still, 1.5 times as much."""
    still_frames: int = 3
    """Still frames in a row before one is skipped."""
    still_age: float = 1.0
    """A still picture is restyled at least once in so many seconds."""
    autopilot: bool = False
    """Hold `latency` by fewer steps, older text and conditioning, and a smaller inner size than asked for."""
    smallest: float = 0.5
    """Share of the asked width that the inner size may shrink to."""
    cheaper_after: float = 1.0
    """Seconds of being late before the autopilot chooses something cheaper."""
    better_after: float = 5.0
    """Seconds of being early before it chooses something better; doubles each time that was too much."""

    def __post_init__(self) -> None:
        if self.largest_batch not in BATCH_SIZES:
            raise ConfigError(
                f"largest_batch must be {either(BATCH_SIZES)}, got {self.largest_batch}"
            )
        at_least(0, restarts=self.restarts)
        at_least(1, strikes=self.strikes, still_frames=self.still_frames)
        for one in fields(self):
            if isinstance(one.default, float) and one.name not in ("still_below", "smallest"):
                seconds(one.name, getattr(self, one.name))
        within(0, 1, still_below=self.still_below)
        within(0.25, 1, smallest=self.smallest)


@dataclass(frozen=True, kw_only=True)
class ShowConfig:
    """How live video is taken in and given out. The fields are flags of `sidestream live`."""

    fps: float | None = None
    """Pictures a second that go out, 1 to 60, held where there is no new one. Default: the source's own, at most 30."""
    seconds: float | None = None
    """Stop after this time. Default: until Ctrl-C, or the end of a file."""
    output: Size | None = None
    """Size WxH of the pictures that go out. Default: the working size."""
    interpolate: bool = False
    """Dissolve each restyled picture into the next where more go out than are made; each is then shown one picture later, and fps counts none of those between."""
    loop: bool = False
    """Begin a file again at its end."""
    sound: bool = True
    """Carry sound along, delayed like the picture; for files, RTMP and RTSP."""
    osc: int | None = None
    """Listen for OSC on this UDP port of this machine: /sidestream/prompt, strength, stability, steps and seed; a prompt may begin with [fade SECONDS]."""
    stdin: bool = False
    """Read prompts, one a line, from a pipe too; on a terminal they are read anyway. [fade 2] before one lets it fade in."""

    def __post_init__(self) -> None:
        if self.fps is not None:
            within(1, 60, fps=self.fps)
        if self.seconds is not None:
            within(0.1, 1_000_000, seconds=self.seconds)
        if self.osc is not None:
            within(0, 65535, osc=self.osc)
        if self.output is not None:
            sides = (self.output.width, self.output.height)
            within(16, 4096, output_width=min(sides), output_height=max(sides))


@dataclass(frozen=True, kw_only=True)
class ShowLimits:
    """Bounds and time-outs of live sources and sinks, in seconds unless said otherwise."""

    stall: float = 2.0
    """A source that is silent for longer is opened anew."""
    open_timeout: float = 5.0
    """For the first picture of a source, and for a sink to take one."""
    retry_first: float = 0.3
    """The pause before something is opened anew; it grows with the time that it has been away."""
    retry_last: float = 5.0
    abandoned: int = 3
    """Attempts that hang in a library, of one source or sink; no more are begun until one of them ends."""
    sounds: int = 500
    """Pieces of sound that wait to be fetched; older ones are dropped."""
    outgoing: int = 60
    """Pictures and pieces of sound that wait for a sink; newer ones are dropped."""
    delay: float = 1.0
    """Pictures are held back for an even pace, and sound to fit them, by at most this."""
    gap: float = 1.0
    """A gap in the clock longer than this (a machine that slept) is not made up for."""
    finish: float = 5.0
    """Sinks have this long to end."""
    viewers: int = 8
    """Of the page, at once."""
    viewer_timeout: float = 10.0
    """A viewer who takes nothing for as long is left."""
    osc_bytes: int = 4096
    line_bytes: int = 4096
    """Of a line that is typed."""
    take_lines: int = 1_000_000
    """Changes of controls in a take."""
    take_line_bytes: int = 16_384


SHOW_LIMITS = ShowLimits()
