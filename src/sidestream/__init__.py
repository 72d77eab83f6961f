"""sidestream: prompt-driven restyling of live video."""

__version__ = "0.1.0"
