"""The places where another implementation may be put: protocols, at most four methods each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from sidestream.config import Size
from sidestream.types import Frame, Prompt, Styled, TextState, Warp

if TYPE_CHECKING:
    import torch


class Source(Protocol):
    """Where frames come from. Pulled from one thread only."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Where restyled frames go. Written from one thread only."""

    def write(self, styled: Styled) -> None: ...

    def close(self) -> None: ...


class EditModel(Protocol):
    """A small edit denoiser with an encoder that looks at every frame.

    Pictures are B x 3 x H x W in [-1, 1]. `prompts` holds one tuple of prompts a picture, all of one bucket.
    Batches have a size of `config.BATCH_SIZES`, so that compiled shapes come again.
    """

    def encode_text(
        self, pictures_BCHW: torch.Tensor, prompts: Sequence[Sequence[Prompt]]
    ) -> TextState: ...

    def encode_image(self, pictures_BCHW: torch.Tensor) -> torch.Tensor: ...

    def denoise(
        self, noise_BCHW: torch.Tensor, source_BCHW: torch.Tensor, text: TextState, steps: int
    ) -> torch.Tensor: ...

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor: ...


class TemporalAdapter(Protocol):
    """Holds one row of conditioning a slot, read inside the denoiser through `select`."""

    def resize(self, size: Size) -> int:
        """Makes room for pictures of this size. The number is that of the bank: what was written to another is lost."""
        ...

    def write(self, rows: torch.Tensor, pictures_BCHW: torch.Tensor) -> None:
        """Conditioning pictures in [-1, 1] into rows, in place."""
        ...

    def select(self, rows: torch.Tensor, multipliers: torch.Tensor) -> None:
        """Which row each slot of the coming batch reads, and how strongly."""
        ...

    def banks(self) -> Sequence[torch.Tensor]:
        """What `write` writes to and the denoiser reads at the size of the last `resize`."""
        ...


class DetailAdapter(Protocol):
    """Carries what is fine in the picture shown before into a fresh one, behind the decoder."""

    def __call__(
        self,
        fresh_BCHW: torch.Tensor,
        before_BCHW: torch.Tensor,
        way: Warp,
        strength: torch.Tensor,
    ) -> torch.Tensor:
        """Pictures in [-1, 1]; `way` leads back to the picture before, `strength` is one number from 0 to 1."""
        ...
