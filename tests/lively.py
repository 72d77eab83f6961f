"""nano's architecture with seeded random weights that react strongly to every input.

Trained weights hardly care about the seed, and default random ones about nothing, so that tests of isolation would
pass by accident: with these a changed prompt, picture, conditioning or seed moves pixels by 8 levels or more.
"""

from __future__ import annotations

import torch
from torch import nn

from sidestream import Stylizer
from sidestream.adapter.detail import TemporalDetail
from sidestream.adapter.temporal import randomise
from sidestream.build import assemble, attached
from sidestream.config import ModelConfig
from sidestream.models import zoo
from sidestream.models.components import Components
from sidestream.models.lanes import Lanes
from sidestream.models.nano.architecture import untrained
from sidestream.models.nano.words import tokenizer
from sidestream.synth.instructions import held_out
from sidestream.synth.styles import STYLES

GAINS = {
    "attn2.norm_q.weight": 4.0,  # look at few tokens: an average over all would hide the prompt
    "attn2.to_out.0.weight": 16.0,
    "conv_out.weight": 2.0,
    "conv.4.weight": 0.4,  # the last of each residual branch of the autoencoder
    "encoder.layers.4.weight": 6.0,
    "decoder.layers.18.weight": 0.6,
}


def words():
    return tokenizer([text for style in STYLES for text in held_out(style)], 1024)


@torch.no_grad()
def components(seed: int = 0) -> Components:
    parts = untrained(words(), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in (parts.unet, parts.vae, parts.text_encoder):
            _scale(module)
            module.eval().requires_grad_(False)
    parts.vae.decoder.layers[-1].bias.fill_(0.5)  # mid-grey
    return parts


def load(
    config: ModelConfig = ModelConfig(), *, detail: bool = False, lanes: Lanes = Lanes()
) -> Stylizer:
    """As `Stylizer.load("nano")`, on the CPU, with an adapter inside the denoiser, or one behind the decoder."""
    parts = components().to(torch.device("cpu"), torch.float32)
    adapter = None
    if detail:
        adapter = TemporalDetail().requires_grad_(False)
    elif config.adapter != "none":
        adapter = attached(parts, config)
        randomise(adapter, seed=0, gain=2.0)
    return Stylizer(assemble(zoo.find("nano"), parts, adapter, config, lanes))


def _scale(module: nn.Module) -> None:
    """Unit-variance weights everywhere, so that signals neither die nor explode on their way; then `GAINS`."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight)
    for name, weight in module.named_parameters():
        for ending, gain in GAINS.items():
            if name.endswith(ending):
                weight.mul_(gain)
