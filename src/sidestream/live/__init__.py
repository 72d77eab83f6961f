"""Live restyling: seats for viewers, and behind them a process that may be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidestream.live.process import open_studio

__all__ = ["open_studio"]


def __getattr__(name: str) -> Any:
    """Loads the door when it is first used, so that importing a part costs nothing."""
    if name != "open_studio":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sidestream.live.process import open_studio

    return open_studio
