"""Prompts that change at given times: the cue file, and what it says at a moment. Decides nothing about refreshes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.config import LIMITS
from sidestream.errors import PromptError
from sidestream.models.instruct.template import clean

if TYPE_CHECKING:
    from sidestream.stylizer import OpenStream
    from sidestream.types import Frame, Prompts

FORM = "`TIME PROMPT` such as `0:04 [fade 1.5] turn this into a watercolor`"
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_FADED = rf"(?:\[fade\s+(?P<fade>{_NUMBER})\]\s+)?(?P<prompt>\S.*)"
_LINE = re.compile(rf"(?:(?P<minutes>\d{{1,6}}):)?(?P<seconds>{_NUMBER})\s+{_FADED}")
_WISH = re.compile(_FADED, re.DOTALL)


def blend(before: Prompts, after: Prompts, share: float) -> Prompts:
    """This share of one, and the rest of the other; of more prompts than can be had at once, those that weigh most."""
    weights: dict[str, float] = {}
    for prompts, part in ((before, 1 - share), (after, share)):
        weighted = ((prompts, 1.0),) if isinstance(prompts, str) else prompts
        total = sum(weight for _, weight in weighted)
        for text, weight in weighted:
            weights[text] = weights.get(text, 0.0) + part * weight / total
    if len(weights) == 1:
        return next(iter(weights))
    # What comes is never left out: it may weigh nothing yet.
    kept = sorted(weights, key=lambda text: (text not in _texts(after), -weights[text]))
    kept = kept[: LIMITS.prompts_at_once]
    return tuple((text, weight) for text, weight in weights.items() if text in kept)


@dataclass(frozen=True)
class Fade:
    """A prompt that takes over from what held before, within some seconds; 0: at once."""

    before: Prompts
    after: Prompts
    begin: float
    seconds: float

    def at(self, now: float) -> Prompts:
        return self.after if self.over(now) else blend(self.before, self.after, self._share(now))

    def over(self, now: float) -> bool:
        return not self.seconds or now - self.begin >= self.seconds

    def _share(self, now: float) -> float:
        return max(0.0, now - self.begin) / self.seconds


def wish(text: str) -> tuple[str, float]:
    """A prompt that is asked for while a stream runs, and the seconds of the `[fade SECONDS]` before it."""
    match = _WISH.fullmatch(text.strip())
    prompt = clean(match["prompt"] if match else text)
    fade = float((match and match["fade"]) or 0)
    if prompt.startswith("[fade"):
        raise PromptError(f"expected `[fade 1.5] a pencil sketch`, got {prompt[:60]!r}")
    if fade > LIMITS.fade_seconds:
        raise PromptError(f"a fade has at most {LIMITS.fade_seconds:g} seconds, got {fade:g}")
    return prompt, fade


@dataclass(frozen=True)
class Cue:
    seconds: float
    prompt: str
    fade: float = 0.0
    """Seconds in which it takes over from the cue before."""

    def __str__(self) -> str:
        fade = f"[fade {_decimal(self.fade)}] " if self.fade else ""
        return f"{_decimal(self.seconds)} {fade}{self.prompt}"


@dataclass(frozen=True)
class Cues:
    """Cues in the order of time, the first at 0. `str` gives the text of a cue file."""

    cues: tuple[Cue, ...]

    @classmethod
    def read(cls, path: Path) -> Cues:
        """Reads a cue file: one cue a line, `#` begins a comment line."""
        try:
            with path.open("rb") as file:
                data = file.read(LIMITS.max_cue_file_bytes + 1)
        except OSError as error:
            raise PromptError(
                f"the cue file {path} cannot be read ({error.strerror}): check the name"
            ) from None
        if len(data) > LIMITS.max_cue_file_bytes:
            raise PromptError(
                f"the cue file {path} has more than {LIMITS.max_cue_file_bytes} bytes: shorten it"
            )
        try:
            return cls.parse(data.decode("utf-8-sig"), str(path))
        except UnicodeDecodeError:
            raise PromptError(f"{path} is not text in UTF-8: a cue file has lines {FORM}") from None

    @classmethod
    def parse(cls, text: str, name: str = "cues") -> Cues:
        cues: list[Cue] = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                place = f"{name}, line {number}"
                cues.append(_follows(cues, _cue(line.strip(), place), place))
        if not cues:
            raise PromptError(f"{name} has no cues: expected lines {FORM}")
        if len(cues) > LIMITS.max_cues:
            raise PromptError(
                f"{name} has {len(cues)} cues, at most {LIMITS.max_cues} are taken: shorten it"
            )
        return cls(tuple(cues))

    def at(self, seconds: float) -> Prompts:
        """The prompt of that moment; two with weights while one fades into the other."""
        fade = self.newest(seconds)
        begins = fade.seconds and seconds == fade.begin
        return fade.before if begins else fade.at(seconds)

    def unused(self, seconds: float) -> list[str]:
        """What there is to say of cues that a video of that length never comes to."""
        late = [cue for cue in self.cues if cue.seconds >= seconds]
        return [
            f"the cue at {_decimal(cue.seconds)} s comes after the video's end at {seconds:.1f} s"
            for cue in late
        ]

    def newest(self, seconds: float) -> Fade:
        """The cue that came last, as it takes over from the one before; the same until the next one."""
        place = max(bisect_right(self.cues, seconds, key=lambda cue: cue.seconds) - 1, 0)
        cue = self.cues[place]
        return Fade(self.cues[max(place - 1, 0)].prompt, cue.prompt, cue.seconds, cue.fade)

    def __str__(self) -> str:
        return "".join(f"{cue}\n" for cue in self.cues)


def cued(frames: Iterable[Frame], opened: OpenStream, cues: Cues) -> Iterator[Frame]:
    """`frames`, each with the prompt of its time; time counts from the first frame that is delivered."""
    begin = None
    for frame in frames:
        begin = frame.seconds if begin is None else begin
        prompt = cues.at(frame.seconds - begin)
        if prompt != opened.controls.prompt:
            opened.controls = replace(opened.controls, prompt=prompt)
        yield frame


def _texts(prompts: Prompts) -> set[str]:
    return {prompts} if isinstance(prompts, str) else {text for text, _ in prompts}


def _decimal(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _cue(line: str, place: str) -> Cue:
    match = _LINE.fullmatch(line)
    if match is None:
        raise PromptError(f"{place}: expected {FORM}, got {line[:60]!r}")
    minutes, seconds = int(match["minutes"] or 0), float(match["seconds"])
    if match["minutes"] and seconds >= 60:
        raise PromptError(f"{place}: a time m:ss has fewer than 60 seconds, got {line.split()[0]}")
    try:
        prompt = clean(match["prompt"])
    except PromptError as error:
        raise PromptError(f"{place}: {error}") from None
    if prompt.startswith("[fade"):
        raise PromptError(f"{place}: expected {FORM}, got {line[:60]!r}")
    return Cue(60 * minutes + seconds, prompt, float(match["fade"] or 0))


def _follows(cues: list[Cue], cue: Cue, place: str) -> Cue:
    """The cue, if it can come after those: the first is there from the start, and no fade is cut short."""
    if not cues:
        if cue.seconds or cue.fade:
            raise PromptError(f"{place}: the first cue must be at 0 and cannot fade, got {cue}")
        return cue
    ready = cues[-1].seconds + cues[-1].fade
    if cue.seconds <= cues[-1].seconds or cue.seconds < ready:
        raise PromptError(
            f"{place}: a cue must come later than the one before it and its fade, which end at {ready:g} s,"
            f" got {cue.seconds:g} s"
        )
    return cue
