"""What a live performance is asked to be, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidestream.config import Size
from sidestream.config_live import ShowConfig
from sidestream.cues import Cues
from sidestream.errors import ConfigError
from sidestream.live.attempts import AtEnd
from sidestream.live.sinks import check_sink
from sidestream.live.take import begin_folder
from sidestream.media.address import Address, sink_address, source_address
from sidestream.media.pixels import coarser
from sidestream.types import Controls


@dataclass(frozen=True, kw_only=True)
class Programme:
    """What is performed, checked."""

    source: Address
    sinks: tuple[Address, ...]
    controls: Controls
    show: ShowConfig
    cues: Cues | None = None
    take: Path | None = None
    overwrite: bool = False
    size_of: Callable[[int, int], Size]
    """The working size for a source of this width and height."""
    metadata: Mapping[str, str]

    @classmethod
    def checked(cls, source: str, sinks: Sequence[str], **rest: Any) -> Programme:
        """Refuses, before a model is loaded, what can be seen to fail."""
        found = cls(
            source=source_address(source),
            sinks=tuple(sink_address(sink) for sink in sinks),
            **rest,
        )
        for sink in found.sinks:
            check_sink(sink, overwrite=found.overwrite)
        if len(set(found.sinks)) < len(found.sinks):
            raise ConfigError("a sink is given twice: name another, or leave it out")
        if found.show.loop and found.source.kind != "file":
            raise ConfigError(f"--loop is for files, and {found.source} has no end: leave it out")
        if found.take is not None:
            begin_folder(found.take)
        return found

    @property
    def smaller(self) -> Callable[[int, int], Size] | None:
        """How small the source's pictures may be handed out; a take has them as they are."""
        if self.take is not None:
            return None
        fit = self.controls.fit
        return lambda width, height: coarser(width, height, self.size_of(width, height), fit)

    @property
    def at_end(self) -> AtEnd:
        """What the end of the source means."""
        if self.source.kind != "file":
            return "pause"
        return "at once" if self.show.loop else "stop"
