"""What a command shows: words, tables, a progress bar, JSON; and the signals that stop it."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from sidestream.errors import HUNG_UP, INTERRUPTED, TERMINATED, ConfigError, SinkError

STDOUT = Path("-")
EXIT_CODES = {
    signal.SIGINT: INTERRUPTED,
    signal.SIGTERM: TERMINATED,
    signal.SIGHUP: HUNG_UP,
}

WORTH_SAYING = 3.0
"""Seconds after which a run's pace says how long it will take."""
Progress = Callable[[int, int | None], None]
"""Told how many frames are done and how many are expected, where that is known."""


class Printer:
    """Words for people, and JSON where that was asked for; words give way where both would go to one place."""

    def __init__(self, json_path: Path | None, keep: Sequence[Path] = ()) -> None:
        """`keep` are the other files of the command, which JSON must not replace."""
        self._json_path = json_path
        if json_path is not None and json_path != STDOUT:
            _check_report(json_path, keep)

    @property
    def _words(self) -> TextIO:
        return sys.stderr if self._json_path == STDOUT else sys.stdout

    def say(self, text: str) -> None:
        self._words.write(f"{plain(text)}\n")
        self._words.flush()

    def table(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Drawn on a terminal, lines of aligned columns elsewhere."""
        if self._words.isatty():
            from rich.console import Console
            from rich.table import Table

            table = Table(*rows[0])
            for row in rows:
                table.add_row(*map(plain, row.values()))
            Console(file=self._words, markup=False).print(table)
            return
        lines = [tuple(rows[0]), *(tuple(row.values()) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.say("  ".join(cells).rstrip())

    def json(self, value: object) -> None:
        if self._json_path is None:
            return
        # In ASCII, which holds no control characters and any file name.
        text = json.dumps(value, indent=2, default=str) + "\n"
        if self._json_path == STDOUT:
            sys.stdout.write(text)
            return
        try:
            self._json_path.write_text(text, "utf-8")
        except OSError as error:
            raise SinkError(f"{self._json_path} could not be written ({error.strerror})") from error


def complain(text: str) -> None:
    sys.stderr.write(f"sidestream: {plain(text)}\n")


def hung_up(stream: TextIO) -> bool:
    """Whether it is a terminal that was closed."""
    try:
        termios.tcgetattr(stream.fileno())
    except termios.error as error:
        return error.args[0] == errno.EIO
    except (OSError, ValueError):
        return False
    return False


def silence(*streams: TextIO) -> None:
    """What is still to be written there goes nowhere, and says nothing of it when the process ends."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain(text: str) -> str:
    """With everything escaped that a terminal might obey: names and metadata come from strangers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _check_report(path: Path, keep: Sequence[Path]) -> None:
    """Refuses, before anything is done, a report that cannot be written or would replace one of `keep`, or a picture in it."""
    try:
        if path.is_dir():
            raise SinkError(f"{path} is a folder: give the report the name of a file")
        if not path.parent.is_dir():
            raise SinkError(f"there is no folder {path.parent}: create it first")
        for other in keep:
            same = other.exists() and path.exists() and path.samefile(other)
            inside = path.suffix != ".json" and path.resolve().parent == other.resolve()
            if same or inside or path.resolve() == other.resolve():
                raise ConfigError(f"the report {path} would replace {other}: give it another name")
    except OSError as error:
        raise SinkError(f"{error.filename} cannot be a file ({error.strerror})") from error


@contextmanager
def progress_bar() -> Generator[Progress]:
    """A bar with frames a second and the time left on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, expected: None
        return
    from rich import progress
    from rich.console import Console

    start = time.perf_counter()
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[fps]:.1f} fps"),
        progress.TextColumn("{task.fields[left]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, fps=0.0, left="", visible=False)

        def show(done: int, expected: int | None) -> None:
            passed = time.perf_counter() - start
            left = time_left(done, expected, passed)
            bar.update(
                task, completed=done, total=expected, fps=done / passed, left=left, visible=True
            )

        yield show


def time_left(done: int, expected: int | None, passed: float) -> str:
    """By the pace of the whole run, for frames come in batches; nothing before that says anything."""
    if expected is None or done >= expected or passed < WORTH_SAYING:
        return ""
    return f"{timedelta(seconds=round((expected - done) * passed / done))} left"


Told = Callable[[str, int, int, Mapping[str, float]], None]
"""What is being done, how much of it is done, of how much, and figures beside it."""

LINE_SECONDS = 30.0


@contextmanager
def stages() -> Generator[Told]:
    """A bar for each stage of long work on a terminal; elsewhere a line now and then, for a log."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[figures]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def show(name: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, figures="")
            bar.update(tasks[name], completed=done, total=total, figures=_figures(figures))

        yield show


def _lines() -> Told:
    last: dict[str, float] = {}

    def show(name: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        now = time.monotonic()
        if done < total and now - last.get(name, -LINE_SECONDS) < LINE_SECONDS:
            return
        last[name] = now
        sys.stderr.write(f"{name}: {done} of {total} {_figures(figures)}".rstrip() + "\n")

    return show


def _figures(figures: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items())


@contextmanager
def stopping() -> Generator[list[signal.Signals]]:
    """Notes the first signal to stop in place of obeying it; the second stops what is done, the third the process."""
    caught: list[signal.Signals] = []

    def note(number: signal.Signals) -> None:
        caught.append(number)
        if len(caught) == 2:
            restored.close()
            # An exception, not the end of the process: what is unfinished goes away as it does after an error.
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(EXIT_CODES[number])

    with ExitStack() as restored:
        restored.enter_context(signalled(note))
        yield caught


@contextmanager
def signalled(note: Callable[[signal.Signals], object]) -> Generator[None]:
    """Signals to stop are told to `note`; a terminal that is closed means nothing to what `nohup` started."""
    numbers = [
        one
        for one in EXIT_CODES
        if one != signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN
    ]
    before = {
        one: signal.signal(one, lambda number, frame: note(signal.Signals(number)))
        for one in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def quiet_libraries() -> None:
    """What the libraries show of their own while they load files is of no use to a user; downloads show their progress."""
    import diffusers
    import transformers
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars

    downloads_shown = not are_progress_bars_disabled()
    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    if downloads_shown:  # transformers has just hidden these too
        enable_progress_bars()


def counted(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"
