"""A model on the bench: how it is loaded, what is asked of it, and for how many frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any

from sidestream import build, records
from sidestream.bench.clock import Run, run
from sidestream.bench.footage import PROMPT, footage
from sidestream.build import Loaded, auto_batch
from sidestream.config import ModelConfig, Size, StreamConfig
from sidestream.models import zoo
from sidestream.report import environment
from sidestream.stylizer import Stylizer
from sidestream.types import Record

Load = Callable[[str, ModelConfig], AbstractContextManager[Stylizer]]
"""As Stylizer.load."""
LoadParts = Callable[[str, ModelConfig], Loaded]
"""As build.load."""

WARM_BATCHES = 3
"""Of every run, before the clock starts: the first has no conditioning, the second has, the third is captured."""


@dataclass(frozen=True, eq=False)
class Bench:
    load: Load
    model: str = "nano"
    loading: ModelConfig = field(default_factory=ModelConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    frames: int = 480
    """Of each run that is measured."""
    rounds: int = 5
    """How often loops that are compared take turns."""
    quick: bool = False
    """Fewer rows."""
    file_to_file: bool = False
    """From file to file in place of from memory to memory, where loops are compared."""
    rate: float | None = None
    """Frames a second that come in, where a run is long; None: as fast as they are taken."""
    load_parts: LoadParts = build.load
    """For the loops of others."""

    @property
    def size(self) -> Size:
        side = isqrt(zoo.find(self.model).pixels)
        return self.stream.size or Size(side, side)

    @property
    def batch(self) -> int:
        return self.stream.batch or auto_batch(live=False)

    def loaded(self, **changes: Any) -> AbstractContextManager[Stylizer]:
        """The model; `changes` are fields of ModelConfig."""
        return self.load(self.model, replace(self.loading, **changes))

    def config(self, **changes: Any) -> StreamConfig:
        """A stream's settings with nothing left open; `changes` are fields of StreamConfig."""
        return replace(self.stream, **{"size": self.size, "batch": self.batch, **changes})


def measured(
    stylizer: Stylizer,
    config: StreamConfig,
    frames: int,
    *,
    streams: int = 1,
    rate: float | None = None,
) -> Run:
    """So many frames in all, rounded up to whole batches, after a few batches that warm up."""
    assert config.size is not None and config.batch is not None
    share = config.batch if streams == 1 else 1
    each = -(-max(frames // streams, share) // share) * share
    warm = WARM_BATCHES * share
    with ExitStack() as stack:
        opened = [stack.enter_context(stylizer.open(PROMPT, config)) for _ in range(streams)]
        pictures = list(footage(config.size, warm + each))
        return run(
            stylizer,
            dict.fromkeys(opened, pictures[:warm]),
            dict.fromkeys(opened, pictures[warm:]),
            rate,
        )


def record(
    stylizer: Stylizer,
    table: str,
    row: str,
    metrics: dict[str, float],
    config: StreamConfig,
    **more: object,
) -> Record:
    """What was measured, with everything that it was measured under."""
    built = stylizer.built
    return Record(
        table=table,
        row=row,
        metrics=metrics,
        config={
            "model": built.entry.name,
            "loading": {
                **asdict(built.config),
                "dtype": str(built.model.dtype).removeprefix("torch."),
                "adapter": built.config.adapter if built.engine.steadied else "none",
            },
            "stream": {**asdict(config), "size": str(config.size)},
            "prompt": PROMPT,
            **more,
        },
        environment={
            **environment(built.device),
            "commit": records.commit(Path(__file__).parent),
        },
        clip="village",
    )
