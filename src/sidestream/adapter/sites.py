"""Where the adapter hooks into a U-Net. Found by structure: by the names of attributes, never of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from sidestream.config import SECTIONS

if TYPE_CHECKING:
    from diffusers.models.unets.unet_dreamlite import DreamLiteUNetModel

# attn2.to_k and to_v read text, which is no grid of tokens.
HOOK = re.compile(
    r"(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\..*"
    r"transformer_blocks\.\d+\.(?:attn1\.to_[qkv]|attn2\.to_q)"
)


@dataclass(frozen=True)
class Site:
    """One Linear of the U-Net whose input the adapter changes."""

    name: str
    """Dotted path in the U-Net."""
    section: str
    channels: int
    stride: int
    """Pixels of the conditioning picture on each side of one token."""

    @property
    def key(self) -> str:
        """The name as adapter files spell it."""
        return self.name.replace(".", "__")


def hook_sites(
    unet: DreamLiteUNetModel, sections: Sequence[str] = SECTIONS, *, latent_stride: int = 8
) -> tuple[Site, ...]:
    """All sites within the sections, in the U-Net's own order. `latent_stride`: pixels a latent."""
    depth = len(unet.config["block_out_channels"])
    matches = [match for name, _ in unet.named_modules() if (match := HOOK.fullmatch(name))]
    return tuple(
        Site(
            name=match[0],
            section=match[1],
            channels=host_linear(unet, match[0]).in_features,
            stride=latent_stride * 2 ** _level(match[1], int(match[2] or 0), depth),
        )
        for match in matches
        if match[1] in sections
    )


def host_linear(unet: nn.Module, name: str) -> nn.Linear:
    """The Linear of this name, also when a LoRA layer was put around it."""
    module = unet.get_submodule(name)
    if not isinstance(module, nn.Linear):
        module = module.get_submodule("base_layer")
    assert isinstance(module, nn.Linear)
    return module


def _level(section: str, block: int, depth: int) -> int:
    """How often the grid was halved: going down in order, most in the middle, mirrored going up."""
    if section == "down_blocks":
        return block
    return depth - 1 - block
