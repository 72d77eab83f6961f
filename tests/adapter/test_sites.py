from collections import Counter

import pytest
import torch
from torch import nn

from sidestream.adapter.sites import hook_sites
from sidestream.adapter.temporal import attach
from sidestream.config import SECTIONS


class LoraLike(nn.Module):
    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base_layer(x)


def test_dreamlite_has_108_sites(dreamlite):
    sites = hook_sites(dreamlite)
    assert sum(p.numel() for p in dreamlite.parameters()) == 389_968_388
    assert Counter(s.section for s in sites) == {
        "down_blocks": 38,
        "mid_block": 16,
        "up_blocks": 54,
    }
    assert Counter((s.stride, s.channels) for s in sites) == {
        (8, 256): 2,
        (16, 512): 10,
        (32, 896): 96,
    }


def test_sites_keep_the_order_of_the_unet_and_leave_out_the_text(dreamlite):
    names = [name for name, _ in dreamlite.named_modules()]
    sites = [site.name for site in hook_sites(dreamlite)]
    assert sites == sorted(sites, key=names.index)
    assert not any(name.endswith(("attn2.to_k", "attn2.to_v")) for name in sites)


def test_a_key_spells_the_name_without_dots(dreamlite):
    keys = [site.key for site in hook_sites(dreamlite, ["down_blocks"])]
    assert "down_blocks__2__attentions__0__transformer_blocks__0__attn1__to_q" in keys


@pytest.mark.parametrize("section", SECTIONS)
def test_only_the_chosen_section_is_hooked(unet, section):
    assert {site.section for site in hook_sites(unet, [section])} == {section}


def test_strides_follow_the_latent_stride(unet):
    fine, coarse = hook_sites(unet, latent_stride=8), hook_sites(unet, latent_stride=16)
    assert {site.stride for site in fine} == {8, 16, 32}
    assert [2 * site.stride for site in fine] == [site.stride for site in coarse]


def test_sites_are_found_under_an_adapter_and_under_lora(unet):
    plain = hook_sites(unet)
    for site in plain[::2]:
        unet.set_submodule(site.name, LoraLike(unet.get_submodule(site.name)))
    assert hook_sites(unet) == plain
    attach(unet, SECTIONS, rows=1)
    assert hook_sites(unet) == plain


def test_detaching_leaves_lora_where_it_is(unet):
    site = hook_sites(unet)[0]
    host = unet.get_submodule(site.name)
    adapter = attach(unet, SECTIONS, rows=1)
    unet.set_submodule(site.name, LoraLike(unet.get_submodule(site.name)))
    adapter.detach()
    assert unet.get_submodule(site.name).base_layer is host
