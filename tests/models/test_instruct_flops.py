"""Work counted at the released model's sizes, without its weights and without computing anything."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3VLForConditionalGeneration
from transformers.vision_utils import get_vision_interpolation_indices_and_weights

from sidestream.models.instruct.encoder import LeanEncoder
from sidestream.models.instruct.template import Template
from sidestream.models.twin import text_encoder_config

SIZE = 256
PADDED = 256
PROMPT = "transfer this to watercolor painting style with soft paper edges"


@pytest.fixture(scope="module")
def twin():
    with torch.device("meta"):
        return Qwen3VLForConditionalGeneration(text_encoder_config()).eval().requires_grad_(False)


def flops(work):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        work()
    return counter.get_total_flops()


def billions(counts):
    return {part: round(count / 1e9) for part, count in counts.items()}


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def of_the_library(twin, pictures=1):
    """Its parts as its forward runs them for one picture a text padded to 256 tokens: tower, layers, logits."""
    tower, language = twin.model.visual, twin.model.language_model
    grid = torch.tensor([[1, SIZE // 16, SIZE // 16]] * pictures)
    count = (SIZE // 16) ** 2 * pictures
    indices, weights = get_vision_interpolation_indices_and_weights(
        grid, 48, align_corners=True, spatial_merge_size=2
    )
    states = meta(pictures, PADDED, 2048)
    return {
        "vision": flops(
            lambda: tower(
                meta(count, 1536),
                grid_thw=grid,
                interp_indices=indices.to("meta"),
                interp_weights=weights.to("meta"),
                position_ids=meta(count, 2, dtype=torch.long),
                cu_seqlens=torch.arange(pictures + 1) * (count // pictures),
            )
        ),
        "language": flops(
            lambda: language(
                inputs_embeds=states,
                position_ids=meta(3, pictures, PADDED, dtype=torch.long),
                use_cache=False,
            )
        ),
        "logits": flops(lambda: twin.lm_head(states)),
    }


def test_the_twin_has_the_released_number_of_parameters(twin):
    assert sum(weight.numel() for weight in twin.parameters()) == 2_127_532_032


def test_the_counter_sees_attention():
    query, key = meta(1, 16, 10, 128), meta(1, 8, 30, 128)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert flops(lambda: attend(query, key, key, enable_gqa=True)) == 2 * 2 * 16 * 10 * 30 * 128


def test_the_lean_encoder_does_half_the_work(twin):
    template = Template.stand_in()
    length = template.bucket(len(template.ids(PROMPT)))
    encoder = LeanEncoder(twin, template, SIZE)
    picture, ids = meta(1, 3, 512, 512), meta(1, length, dtype=torch.long)
    ours = flops(lambda: encoder.encode(picture, ids))
    theirs = of_the_library(twin)
    assert length == 48
    assert billions(theirs) == {"vision": 175, "language": 737, "logits": 159}
    seen = encoder.see(picture)
    again = flops(lambda: encoder.read(seen, ids))
    assert billions({"encode": ours, "read again": again}) == {"encode": 501, "read again": 137}
    assert ours < 0.47 * sum(theirs.values())
