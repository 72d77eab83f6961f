"""The photographs that training pictures may be made from: those bundled with scikit-image that anyone may use.

Only files inside its package are read, nothing is downloaded; docs/training-data.md tells where each comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sidestream.errors import ConfigError
from sidestream.types import Pixels

Licence = Literal["CC0-1.0", "public domain"]

LICENCES: dict[str, Licence] = {
    "astronaut": "public domain",
    "brick": "CC0-1.0",
    "camera": "CC0-1.0",
    "chelsea": "CC0-1.0",
    "clock": "public domain",
    "coffee": "CC0-1.0",
    "grass": "CC0-1.0",
    "gravel": "CC0-1.0",
    "hubble_deep_field": "public domain",
    "retina": "CC0-1.0",
    "rocket": "public domain",
}
"""By its name in skimage.data, as the documentation there says."""


@dataclass(frozen=True)
class Photo:
    name: str
    licence: Licence
    pixels: Pixels


def photographs() -> tuple[Photo, ...]:
    """All of them, a grey one as three equal channels."""
    try:
        from skimage import data
    except ImportError as error:
        raise ConfigError(
            "training pictures need the photographs that come with scikit-image, which is not installed: "
            "pip install 'sidestream[train]'"
        ) from error
    return tuple(
        Photo(name, licence, _rgb(np.asarray(getattr(data, name)())))
        for name, licence in LICENCES.items()
    )


def _rgb(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
