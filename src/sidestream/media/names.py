"""Whether a name can be one of a file at all, before anything is done with it."""

from __future__ import annotations

import os
from os import PathLike

from sidestream.errors import SidestreamError


def check_name(path: str | PathLike[str], kind: type[SidestreamError]) -> None:
    """Refuses what the file system does: too long, with a NUL, out of reach. It may be missing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text that a name can hold"
        raise kind(
            f"{os.fspath(path)!r:.80} cannot be the name of a file ({reason}): give another"
        ) from error
