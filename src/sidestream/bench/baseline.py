"""Our loop, the paper's and diffusers' pipeline, in turns in one process: at equal settings, and each at its defaults."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

from sidestream.bench import paper, upstream
from sidestream.bench.bench import Bench, record
from sidestream.bench.charts import bars
from sidestream.bench.footage import PROMPT, footage
from sidestream.bench.paper import PaperLoop
from sidestream.bench.upstream import UpstreamLoop
from sidestream.build import pick_device
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.media.open import open_source
from sidestream.media.sink import open_sink
from sidestream.recipe import FileOptions, Recipe
from sidestream.report import Meter
from sidestream.restyle import restyle
from sidestream.stylizer import Stylizer
from sidestream.types import Controls, Frame, Pixels, Plan, Record, Styled

TABLE = "baseline"
RATE = 24
OURS, PAPER, DIFFUSERS = "sidestream", "the paper's loop, re-created", "diffusers"


@dataclass(frozen=True)
class Rival:
    """How another loop runs."""

    steps: int
    batch: int
    vision_size: int
    dtype: str
    adapter: str = "none"


@dataclass(frozen=True)
class Setting:
    name: str
    loading: ModelConfig
    stream: StreamConfig
    rivals: Mapping[str, Rival]


@dataclass(frozen=True)
class Turn:
    """What one loop took for the clip."""

    seconds: float
    """The whole loop."""
    render_seconds: float
    """The render call alone, which is what the paper's figures count; all of it where nothing is apart."""


@dataclass(frozen=True, eq=False)
class Contender:
    name: str
    run: Callable[[], Turn]


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames that all loops restyle, in memory or in a file."""

    size: Size
    frames: Sequence[Frame]
    path: Path | None = None
    out: Path | None = None


def run(bench: Bench) -> Iterator[Record]:
    for setting in settings(bench):
        yield from compare(bench, setting)


def compare(bench: Bench, setting: Setting) -> Iterator[Record]:
    """A record a rival."""
    with clip_of(bench) as clip, ExitStack() as stack:
        stylizer = stack.enter_context(bench.load(bench.model, setting.loading))
        rivals = [
            stack.enter_context(_rival(bench, setting, name, clip)) for name in setting.rivals
        ]
        turns = in_turns([ours(stylizer, setting, clip), *rivals], bench.rounds)
        for name, rival in setting.rivals.items():
            yield record(
                stylizer,
                TABLE,
                f"{setting.name}: {name}",
                compared(turns[OURS], turns[name], len(clip.frames)),
                setting.stream,
                rival=asdict(rival),
                rounds=bench.rounds,
                clock="file to file" if clip.path else "memory to memory",
            )


def settings(bench: Bench) -> Iterator[Setting]:
    """Equal: no adapter, since diffusers has none, and the same picture for the encoder."""
    batch, dtype = bench.batch, bench.loading.dtype
    loading = replace(bench.loading, adapter="none", vision_size=paper.VISION_SIZE)
    for steps in (4, 1):
        rivals = {
            PAPER: Rival(steps, batch, paper.VISION_SIZE, dtype),
            DIFFUSERS: Rival(steps, 1, paper.VISION_SIZE, dtype),
        }
        yield Setting(f"equal, K = {steps}", loading, bench.config(steps=steps), rivals)
    rivals = {
        PAPER: Rival(1, paper.BATCH, paper.VISION_SIZE, dtype, bench.loading.adapter),
        DIFFUSERS: Rival(4, 1, upstream.VISION_SIZE, _released_dtype(bench)),
    }
    yield Setting("own defaults", bench.loading, bench.config(), rivals)


def compared(mine: Sequence[Turn], theirs: Sequence[Turn], frames: int) -> dict[str, float]:
    """Frames a second by both clocks, and how many times faster ours is: of turns that were neighbours, the median."""
    times = [other.seconds / one.seconds for one, other in zip(mine, theirs, strict=True)]
    return {
        "fps": frames / median(one.seconds for one in mine),
        "step_fps": frames / median(one.render_seconds for one in mine),
        "fps_rival": frames / median(one.seconds for one in theirs),
        "step_fps_rival": frames / median(one.render_seconds for one in theirs),
        "ratio": median(times),
        "ratio_min": min(times),
        "ratio_max": max(times),
    }


def in_turns(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Turn]]:
    """Everybody once a round; a first round, which warms all up, does not count."""
    turns: dict[str, list[Turn]] = {one.name: [] for one in contenders}
    for number in range(1 + rounds):
        for one in contenders:
            turn = one.run()
            if number:
                turns[one.name].append(turn)
    return turns


def ours(stylizer: Stylizer, setting: Setting, clip: Clip) -> Contender:
    def from_file(path: Path, out: Path) -> Turn:
        recipe = Recipe(prompt=PROMPT, stream=setting.stream, loading=setting.loading)
        done = restyle(stylizer, path, out, recipe, FileOptions(overwrite=True))
        return Turn(done.wall_seconds, done.frames_out / done.step_fps)

    def from_memory() -> Turn:
        meter = Meter(stylizer.built)
        with stylizer.open(PROMPT, setting.stream) as opened:
            count = sum(1 for _ in opened.run(clip.frames))
        done = meter.report(count, expected=count, configuration={}, warnings=(), stopped=False)
        return Turn(done.wall_seconds, done.frames_out / done.step_fps)

    if clip.path and clip.out:
        path, out = clip.path, clip.out
        return Contender(OURS, lambda: from_file(path, out))
    return Contender(OURS, from_memory)


@contextmanager
def _rival(bench: Bench, setting: Setting, name: str, clip: Clip) -> Generator[Contender]:
    how = setting.rivals[name]
    loading = replace(setting.loading, adapter=how.adapter, dtype=how.dtype)
    found = bench.load_parts(bench.model, loading)
    if name == DIFFUSERS:
        loop = UpstreamLoop(found.parts, steps=how.steps, vision_size=how.vision_size)
        yield Contender(name, lambda: _whole(loop.restyle, clip))
        return
    with PaperLoop(
        found.parts,
        found.adapter,
        steps=how.steps,
        batch=how.batch,
        compile=setting.loading.compile,
    ) as own:

        def both_clocks() -> Turn:
            before = own.render_seconds
            turn = _whole(own.restyle, clip)
            return Turn(turn.seconds, own.render_seconds - before)

        yield Contender(name, both_clocks)


def _whole(loop: Callable[[Iterable[Frame]], Iterator[Pixels]], clip: Clip) -> Turn:
    """One after the other: decode, restyle, encode, as these loops' own programs do."""
    start = time.perf_counter()
    if clip.path and clip.out:
        with open_source(clip.path) as source, _sink(clip.out, clip.size) as write:
            for frame, pixels in zip(clip.frames, loop(source), strict=False):
                write(frame, pixels)
    else:
        for _ in loop(clip.frames):
            pass
    seconds = time.perf_counter() - start
    return Turn(seconds, seconds)


@contextmanager
def clip_of(bench: Bench) -> Generator[Clip]:
    """Whole batches of all loops."""
    whole = max(bench.batch, paper.BATCH)
    count = -(-bench.frames // whole) * whole
    frames = [
        Frame(pixels, index, Fraction(1, RATE), index)
        for index, pixels in enumerate(footage(bench.size, count))
    ]
    if not bench.file_to_file:
        yield Clip(bench.size, frames)
        return
    with tempfile.TemporaryDirectory() as folder:
        path, out = (Path(folder, name) for name in ("clip.mp4", "out.mp4"))
        with _sink(path, bench.size) as write:
            for frame in frames:
                write(frame, frame.pixels)
        yield Clip(bench.size, frames, path, out)


@contextmanager
def _sink(path: Path, size: Size) -> Generator[Callable[[Frame, Pixels], None]]:
    plan = Plan(1, size, "per_frame", "none", 0)
    with open_sink(path, size=size, rate=Fraction(RATE), metadata={}, overwrite=True) as sink:

        def write(frame: Frame, pixels: Pixels) -> None:
            shown = replace(frame, pixels=pixels)
            sink.write(Styled(shown, frame, plan, Controls(prompt=PROMPT)))

        yield write


def _released_dtype(bench: Bench) -> Any:
    """Of a pipeline that is loaded as it comes: float32, but half of it on a GPU, where nobody would run it so."""
    return "bfloat16" if pick_device(bench.loading.device).type == "cuda" else "float32"


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    """Whole loops; and beside them, where it can be told apart, rendering alone, which is how the paper counts."""
    if not records:
        return {}
    names = {"fps": OURS, "fps_rival": "the other"}
    alone = {"step_fps": f"{OURS}, rendering alone", "step_fps_rival": "the other, rendering alone"}
    groups = {
        one.row: {
            name: one.metrics[metric]
            for metric, name in (names if one.row.endswith(DIFFUSERS) else names | alone).items()
        }
        for one in records
    }
    title = (
        f"{records[0].config['model']}, {records[0].config['stream']['size']}: three loops in turns"
    )
    return {"loops": bars(title, "frames a second", groups)}
