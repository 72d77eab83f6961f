"""The temporal adapter: all sites of a U-Net, told by one conditioning picture a stream what to hold on to."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from sidestream.adapter.lllite import Level, LLLiteLinear, SiteNetwork, Slots, TrainedLinear
from sidestream.adapter.sites import Site, hook_sites, host_linear
from sidestream.config import Size
from sidestream.errors import ModelError

if TYPE_CHECKING:
    from diffusers.models.unets.unet_dreamlite import DreamLiteUNetModel

KEPT_SIZES = 4


class TemporalLLLite:
    """Owns the networks (float32, what is trained and saved) and their running form inside the U-Net."""

    def __init__(self, unet: DreamLiteUNetModel, sites: Sequence[Site], rows: int) -> None:
        hosts = {site.key: host_linear(unet, site.name) for site in sites}
        like = next(iter(hosts.values())).weight.detach()
        self.unet = unet
        self.sites = tuple(sites)
        with like.device:
            self.networks = {site.key: SiteNetwork(site.channels, site.stride) for site in sites}
        self._slots = Slots(like)
        self._levels: list[Level] = []
        self._banks: dict[Size, int] = {}
        self._made = 0
        self._hosts: dict[str, nn.Linear] = hosts
        self._linears: dict[str, LLLiteLinear] = {}
        for stride in sorted({site.stride for site in sites}):
            keys = [site.key for site in sites if site.stride == stride]
            level = Level([self.networks[key] for key in keys], stride, rows, like)
            self._levels.append(level)
            for position, key in enumerate(keys):
                self._linears[key] = LLLiteLinear(hosts[key], level, position, self._slots)
        self._running: Mapping[str, nn.Module] = hosts
        self.fold()
        self._put(self._linears)

    def resize(self, size: Size) -> int:
        """Makes room for pictures of this size. The sizes used last keep their banks, which have numbers."""
        if size not in self._banks:
            self._made += 1
        self._banks[size] = self._banks.pop(size, self._made)
        for level in self._levels:
            level.resize(size)
        if len(self._banks) > KEPT_SIZES:
            oldest = next(iter(self._banks))
            del self._banks[oldest]
            for level in self._levels:
                del level.banks[oldest]
        return self._banks[size]

    @torch.no_grad()
    def write(self, rows: torch.Tensor, pictures_BCHW: torch.Tensor) -> None:
        """Conditioning pictures in [-1, 1] into rows, in place."""
        # A multiplier of 0 could not silence a row that is not finite.
        pictures_BCHW = pictures_BCHW.nan_to_num(0, 1, -1)
        rows = rows.to(pictures_BCHW.device, non_blocking=True)
        for level in self._levels:
            level.write(rows, pictures_BCHW)

    def select(self, rows: torch.Tensor, multipliers: torch.Tensor) -> None:
        """Which row each slot of the coming batch reads, and how strongly, in place."""
        self._slots.select(rows, multipliers)

    def banks(self) -> list[torch.Tensor]:
        """Where the U-Net reads conditioning; each size has others."""
        return [level.bank_SRHWD for level in self._levels]

    @torch.no_grad()
    def fold(self) -> None:
        """Brings changed weights of the networks into the running form."""
        for level in self._levels:
            level.fold()
        for key, linear in self._linears.items():
            linear.fold(self.networks[key])

    def weights(self) -> dict[str, nn.Parameter]:
        """What is trained, under the names of adapter files."""
        return {
            f"modules_dict.{key}.{name}": parameter
            for key, network in self.networks.items()
            for name, parameter in network.named_parameters()
        }

    @contextmanager
    def trained_form(
        self, pictures_BCHW: torch.Tensor, multiplier: float | torch.Tensor = 1.0
    ) -> Generator[None]:
        """Runs the U-Net on the networks themselves, with gradients. Leave only after `backward`."""

        def delta(network: SiteNetwork, x_BNC: torch.Tensor) -> torch.Tensor:
            return multiplier * network(x_BNC, pictures_BCHW)

        trained = {
            key: TrainedLinear(self._hosts[key], partial(delta, network))
            for key, network in self.networks.items()
        }
        before = self._running
        self._put(trained)
        try:
            yield
        finally:
            self._put(before)

    def detach(self) -> None:
        """Puts every host back in its place."""
        self._put(self._hosts)

    def _put(self, new: Mapping[str, nn.Module]) -> None:
        # By identity: a LoRA layer may have come between since.
        replacements = {module: new[key] for key, module in self._running.items()}
        self._running = new
        for parent in list(self.unet.modules()):
            for name, child in list(parent.named_children()):
                if child in replacements:
                    setattr(parent, name, replacements[child])


def attach(
    unet: DreamLiteUNetModel, sections: Sequence[str], rows: int, *, latent_stride: int = 8
) -> TemporalLLLite:
    """Puts a zero-initialised adapter into a U-Net that is already where it will run, in its number format."""
    sites = hook_sites(unet, sections, latent_stride=latent_stride)
    if not sites:
        raise ModelError(
            f"this U-Net has no attention to hook in {tuple(sections)}: choose other hooks"
        )
    if any(isinstance(module, LLLiteLinear) for module in unet.modules()):
        raise ModelError("this U-Net already has a temporal adapter: detach it first")
    return TemporalLLLite(unet, sites, rows)


@torch.no_grad()
def randomise(adapter: TemporalLLLite, seed: int, gain: float = 1.0) -> None:
    """Random weights, the same for the same seed. `gain`: size of what is added to a host's input."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in adapter.weights().items():
        scale = gain if ".up." in name else 2**0.5
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale / fan_in**0.5)
    adapter.fold()
