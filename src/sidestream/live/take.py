"""A take: what a source gave and what was asked for, with times, so that a performance can be made again.

A folder with `source.mp4`, close to what came in, with capture times; `controls.jsonl`, a line for every change of
controls; and `settings.json`, as beside pictures. Each is whole after a crash, but for the last half second.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from sidestream.config import Size
from sidestream.config_live import SHOW_LIMITS, ShowLimits
from sidestream.errors import SinkError, SourceError
from sidestream.live.outlet import Heard, Outlet
from sidestream.live.sinks import MovieSink
from sidestream.live.soundtrack import Soundtrack
from sidestream.media.broadcast import MEZZANINE, MEZZANINE_CRF, Broadcast, even, open_movie
from sidestream.media.capture import MICROSECOND, Sound
from sidestream.media.metadata import IN_FOLDER, write_settings
from sidestream.media.movie import Picture
from sidestream.media.pixels import fit
from sidestream.types import Controls, Frame

SOURCE, PART, CONTROLS = "source.mp4", "source.part.mp4", "controls.jsonl"
KEPT = ("prompt", "strength", "stability", "steps", "seed")
SOUND_LAG = 0.5
"""Seconds by which sound is written later than the picture, for it may come later."""


@dataclass(frozen=True)
class Change:
    """Controls that hold from a frame on."""

    at: int
    """Of that frame: microseconds since the first one."""
    controls: Controls


class TakeRecorder:
    """Owns the folder while it is written. The picture has its own lane, so that recording holds up nothing."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        first: Frame,
        rate: Fraction,
        *,
        sound: bool,
    ) -> None:
        begin_folder(folder)
        height, width = first.pixels.shape[:2]
        self._size = even(Size(width, height))
        picture = Picture(self._size, rate, MEZZANINE_CRF)
        broadcast = Broadcast(picture, MICROSECOND, sound)
        self._lane = Outlet(
            f"the take {folder}",
            lambda: MovieSink(
                *open_movie(folder / SOURCE, broadcast, metadata={}, options=MEZZANINE)
            ),
            returns=False,
        )
        self._hears = sound
        self._begin: int | None = None
        self._end = 0.0
        self._sound: Soundtrack | None = None
        try:
            write_settings(folder / IN_FOLDER, settings)
            self._lines = (folder / CONTROLS).open("x", encoding="utf-8")
            self._lane.begin()
        except OSError as error:
            raise SinkError(f"{folder} could not be written ({error.strerror})") from error

    @property
    def dropped(self) -> int:
        return self._lane.dropped

    @property
    def error(self) -> str:
        """Why it has ended before the show."""
        return str(self._lane.error) if self._lane.broken and self._lane.error else ""

    def record(self, frame: Frame) -> None:
        """A frame as it came in; one of another size than the first is fitted to that."""
        pixels, since = fit(frame.pixels, self._size, "pad"), self._since(frame)
        self._lane.put(replace(frame, pixels=pixels, pts=since))
        self._end = float(since * MICROSECOND)
        self._hear(self._end - SOUND_LAG)

    def hear(self, sound: Sound) -> None:
        if self._sound is not None:
            self._sound.add(sound)

    def note(self, frame: Frame, controls: Controls) -> None:
        """What holds from this frame on."""
        kept = {name: value for name, value in asdict(controls).items() if name in KEPT}
        try:
            self._lines.write(json.dumps({"at": self._since(frame), **kept}) + "\n")
            self._lines.flush()
        except OSError as error:
            raise SinkError(f"the take could not be written ({error.strerror})") from error

    def close(self) -> None:
        self._hear(self._end)
        self._lane.close()
        self._lines.close()

    def _hear(self, until: float) -> None:
        if self._sound is not None:
            begin = self._sound.seconds
            samples = self._sound.until(until, 0.0)
            if samples.shape[1]:
                self._lane.put(Heard(samples, begin))

    def _since(self, frame: Frame) -> int:
        """Microseconds since the first frame of the take."""
        if self._begin is None:
            self._begin = frame.pts
            self._sound = Soundtrack(frame.seconds) if self._hears else None
        return frame.pts - self._begin


def begin_folder(folder: Path) -> None:
    """A take never replaces another."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise SinkError(f"the folder {folder} cannot be made ({error.strerror})") from error
    if taken:
        raise SinkError(f"the folder {folder} holds something already: give a take a new one")


def source_of(folder: Path) -> Path:
    """The recording of a take; what a killed recording left counts."""
    if not folder.is_dir():
        raise SourceError(f"there is no take {folder}: give a folder that `live --take` wrote")
    for name in (SOURCE, PART):
        if (folder / name).is_symlink():
            raise SourceError(f"{folder / name} is a link: put the recording itself there")
        if (folder / name).is_file():
            return folder / name
    raise SourceError(f"{folder} has no {SOURCE}: give a folder that `live --take` wrote")


def read_changes(folder: Path, limits: ShowLimits = SHOW_LIMITS) -> tuple[Change, ...]:
    """The controls of a take in order. A last line that a killed recording left unfinished is left out."""
    path = folder / CONTROLS
    found: list[Change] = []
    try:
        with path.open("rb") as file:
            while line := file.readline(limits.take_line_bytes + 1):
                if not line.endswith(b"\n"):
                    if len(line) > limits.take_line_bytes:
                        raise SourceError(
                            f"{path} has a line of more than {limits.take_line_bytes} bytes"
                        )
                    break
                if len(found) == limits.take_lines:
                    raise SourceError(
                        f"{path} has more than {limits.take_lines} lines: split the take"
                    )
                found.append(_change(line, f"{path}, line {len(found) + 1}"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}): is it a take?") from None
    if not found or found[0].at:
        raise SourceError(f"{path} does not say how the take begins: it was cut off too early")
    if any(after.at < before.at for before, after in pairwise(found)):
        raise SourceError(
            f"{path} is not in the order of time: it was changed since it was written"
        )
    return tuple(found)


def controls_at(changes: tuple[Change, ...], at: int) -> Controls:
    place = bisect_right(changes, at, key=lambda change: change.at) - 1
    return changes[max(place, 0)].controls


def _change(line: bytes, place: str) -> Change:
    try:
        said: object = json.loads(line)
        if not isinstance(said, dict):
            raise TypeError("no object")
        values = cast("dict[str, Any]", said)
        at = values.pop("at")
        if type(at) is not int or at < 0 or set(values) != set(KEPT):
            raise ValueError("`at` and all controls are needed")
        return Change(at, _controls(values))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = str(error)[:100] or type(error).__name__
        raise SourceError(f"{place} is no change of controls ({why})") from None


def _controls(values: Mapping[str, Any]) -> Controls:
    prompt = values["prompt"]
    if not isinstance(prompt, str):
        prompt = tuple((_of(str, text), _of(float, weight)) for text, weight in prompt)
    return Controls(
        prompt=prompt,
        strength=_of(float, values["strength"]),
        stability=_of(float, values["stability"]),
        steps=_of(int, values["steps"]),
        seed=_of(int, values["seed"]),
    )


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value
