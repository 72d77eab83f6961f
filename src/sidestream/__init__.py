"""sidestream: prompt-driven restyling of live video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sidestream.config import ModelConfig, Size, StreamConfig, operating_point
    from sidestream.errors import SidestreamError
    from sidestream.stylizer import OpenStream, Stylizer
    from sidestream.types import Controls, Frame, Styled

_HOMES = {
    "Controls": "types",
    "Frame": "types",
    "ModelConfig": "config",
    "OpenStream": "stylizer",
    "SidestreamError": "errors",
    "Size": "config",
    "StreamConfig": "config",
    "Styled": "types",
    "Stylizer": "stylizer",
    "operating_point": "config",
}

__all__ = [
    "Controls",
    "Frame",
    "ModelConfig",
    "OpenStream",
    "SidestreamError",
    "Size",
    "StreamConfig",
    "Styled",
    "Stylizer",
    "operating_point",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
