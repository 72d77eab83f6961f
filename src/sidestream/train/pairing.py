"""Which noise goes with which picture of a batch (Immiscible Diffusion, arXiv:2406.12303)."""

from __future__ import annotations

import torch

from sidestream.errors import ConfigError


def least_distance(data_BCHW: torch.Tensor, noise_BCHW: torch.Tensor) -> torch.Tensor:
    """The noise for each row of data, so that all distances together are least."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ConfigError(
            "pairing noise with pictures needs scipy, which is not installed: pip install 'sidestream[train]'"
        ) from error
    distances = torch.cdist(data_BCHW.flatten(1), noise_BCHW.flatten(1))
    _, columns = linear_sum_assignment(distances.numpy())
    return torch.from_numpy(columns)
