"""Every failure a caller may want to tell apart, and the exit code of each.

SidestreamError
├── ConfigError      a setting that cannot be used
│   └── PromptError  a prompt that cannot be used
├── SourceError      a video that cannot be read
├── SinkError        a file that cannot be written
├── ModelError       weights that cannot be loaded
├── EngineError      a failure while frames are being rendered
└── FullError        every seat of a live studio is taken

Messages are one sentence: what was given, what was expected, what to do.
"""

HUNG_UP = 129
INTERRUPTED = 130
UNREAD = 141
"""Nobody reads what is printed."""
TERMINATED = 143


class SidestreamError(Exception):
    """Base of all errors this package raises on purpose."""

    exit_code = 1


class ConfigError(SidestreamError, ValueError):
    exit_code = 2


class PromptError(ConfigError):
    pass


class SourceError(SidestreamError):
    exit_code = 3


class SinkError(SidestreamError):
    exit_code = 4


class ModelError(SidestreamError):
    exit_code = 5


class EngineError(SidestreamError):
    exit_code = 6


class FullError(SidestreamError):
    exit_code = 7
