"""A tiny U-Net of the real class, with every kind of hook, and a way to run it."""

from collections.abc import Callable, Iterator

import pytest
import torch
from diffusers import DreamLiteUNetModel
from torch import nn

from sidestream.config import Size

SHARED = {
    "encoder_hid_dim_type": "text_proj_rms",
    "addition_embed_type": "time",
    "use_linear_projection": True,
    "qk_norm": "rms_norm",
    "use_sep_conv": True,
    "ff_mult": 3,
    "num_kv_heads": 1,
}
TINY = {
    **SHARED,
    "block_out_channels": (16, 32, 48),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 1, 1),
    "attention_head_dim": (1, 2, 3),
    "cross_attention_dim": 16,
    "encoder_hid_dim": 16,
    "addition_time_embed_dim": 16,
    "projection_class_embeddings_input_dim": 32,
    "norm_num_groups": 16,
}
DREAMLITE = {
    **SHARED,
    "block_out_channels": (256, 512, 896),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 4),
    "attention_head_dim": (4, 8, 14),
    "cross_attention_dim": 2304,
    "encoder_hid_dim": 2048,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 512,
}

Run = Callable[..., torch.Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Layers this small spend their time waiting for other threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unet() -> DreamLiteUNetModel:
    """Weights of unit variance: at their default scale attention hardly reaches the output."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = DreamLiteUNetModel(**TINY)
        for layer in unet.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
    return unet.eval().requires_grad_(False)


@pytest.fixture
def dreamlite() -> DreamLiteUNetModel:
    """The released size, without memory for its weights."""
    with torch.device("meta"):
        return DreamLiteUNetModel(**DREAMLITE)


@pytest.fixture
def run() -> Run:
    """Runs any form of the U-Net on inputs drawn per slot, so that a slot's input does not depend on the batch."""

    def run(unet, size: Size, batch: int = 1) -> torch.Tensor:
        def draw(*shape: int) -> torch.Tensor:
            seeds = [torch.Generator().manual_seed(slot) for slot in range(batch)]
            return torch.stack([torch.randn(shape, generator=seed) for seed in seeds]).to(dtype)

        dtype = next(unet.parameters()).dtype
        sample = draw(4, size.height // 8, 2 * size.width // 8)
        times = torch.full((batch,), 1000.0, dtype=dtype)
        time_ids = torch.tensor([[size.width, size.height]] * batch, dtype=dtype)
        added = {"time_ids": time_ids}
        return unet(sample, times, draw(8, 16), added_cond_kwargs=added, return_dict=False)[0]

    return run


@pytest.fixture
def pictures() -> Callable[..., torch.Tensor]:
    """Conditioning pictures in [-1, 1]."""

    def pictures(size: Size, count: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(count, 3, size.height, size.width, generator=generator) * 2 - 1

    return pictures
