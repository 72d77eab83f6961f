"""Our loop, the paper's and diffusers' pipeline, in turns in one process: at equal settings, and each at its defaults."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from sidestream.adapter.temporal import TemporalLLLite
from sidestream.bench import paper, upstream
from sidestream.bench.bench import Bench, record
from sidestream.bench.charts import bars
from sidestream.bench.paper import PaperLoop
from sidestream.bench.turns import Clip, Turn, clip_of, in_turns, others, ours
from sidestream.bench.upstream import UpstreamLoop
from sidestream.build import Loaded, attached, pick_device
from sidestream.config import ModelConfig, StreamConfig
from sidestream.types import Pixels, Record

TABLE = "baseline"
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


def run(bench: Bench) -> Iterator[Record]:
    for setting in settings(bench):
        yield from compare(bench, setting)


def compare(bench: Bench, setting: Setting) -> Iterator[Record]:
    """A record a rival. The clip is whole batches of all loops."""
    whole = max(bench.batch, paper.BATCH)
    count = -(-bench.frames // whole) * whole
    with (
        clip_of(bench.size, count, file_to_file=bench.file_to_file) as clip,
        ExitStack() as stack,
    ):
        stylizer = stack.enter_context(bench.load(bench.model, setting.loading))
        loops = {OURS: lambda: ours(stylizer, setting.stream, clip)}
        for name in setting.rivals:
            loops[name] = stack.enter_context(_rival(bench, setting, name, clip))
        turns = in_turns(loops, bench.rounds)
        for name, rival in setting.rivals.items():
            yield record(
                stylizer,
                TABLE,
                f"{setting.name}: {name}",
                compared(turns[OURS], turns[name], count),
                setting.stream,
                rival=asdict(rival),
                rounds=bench.rounds,
                clock="file to file" if bench.file_to_file else "memory to memory",
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


@contextmanager
def _rival(bench: Bench, setting: Setting, name: str, clip: Clip) -> Generator[Callable[[], Turn]]:
    """Loaded apart from ours; what makes it restyle the clip once."""
    how = setting.rivals[name]
    loading = replace(setting.loading, adapter=how.adapter, dtype=how.dtype)
    found = bench.load_parts(bench.model, loading)
    if name == DIFFUSERS:
        pipeline = UpstreamLoop(found.parts, steps=how.steps, vision_size=how.vision_size)
        yield lambda: others(pipeline.restyle, clip)
        return
    with PaperLoop(
        found.parts,
        _conditioned(found, loading),
        steps=how.steps,
        batch=how.batch,
        compile=setting.loading.compile,
    ) as loop:

        def both_clocks() -> Turn:
            before = loop.render_seconds
            turn = others(loop.restyle, clip)
            return Turn(turn.seconds, loop.render_seconds - before)

        yield both_clocks


def _conditioned(found: Loaded, loading: ModelConfig) -> TemporalLLLite | None:
    """The paper's kind of adapter where any was asked for: the model's own, or one that does all the work to no effect."""
    if found.adapter is None or isinstance(found.adapter, TemporalLLLite):
        return found.adapter
    return attached(found.parts, loading)


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
