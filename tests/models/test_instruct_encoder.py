"""The lean encoder against the library's own model, which is run exactly as its processor would ask."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

import lively
from sidestream.models.instruct.encoder import LeanEncoder
from sidestream.models.instruct.template import Template

PROMPTS = (
    "ink",
    "transfer this to watercolor painting style, soft edges",
    "夜のネオン街 🌃, like rain",
)


@pytest.fixture(scope="module")
def components():
    return lively.components()


@pytest.fixture(scope="module")
def model(components):
    return components.text_encoder


@pytest.fixture(scope="module")
def template(components):
    return Template.of(components.tokenizer)


@pytest.fixture(scope="module")
def other():
    """A model of another shape: heads, groups, sections and the layers that see the picture all differ."""
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": 700,
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 3,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "attention_bias": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": 40,
            "intermediate_size": 64,
            "num_heads": 5,
            "out_hidden_size": 48,
            "patch_size": 16,
            "num_position_embeddings": 49,
            "deepstack_visual_indexes": [0, 2],
        },
        image_token_id=5,
        video_token_id=6,
        vision_start_token_id=3,
        vision_end_token_id=4,
        tie_word_embeddings=True,
    )
    torch.manual_seed(1)
    model = Qwen3VLForConditionalGeneration(config).eval().requires_grad_(False)
    for weight in model.parameters():
        torch.nn.init.normal_(
            weight, 0.02 if weight.ndim == 1 else 0, 1.5 * weight[0].numel() ** -0.5
        )
    return model


def around(prefix_ids):
    """A template with this beginning, for a model without words."""
    return Template(prefix_ids, lambda prompt: [2] * (1 + len(prompt)), [1])


def pictures(count, height, width, seed=0):
    """Random pictures with large shapes in them: uint8, and the same in [-1, 1]."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, 6, 9, 3), dtype=np.uint8)
    resize = Image.Resampling.BICUBIC
    rgb = [np.asarray(Image.fromarray(x).resize((width, height), resize)) for x in levels]
    return rgb, torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2) / 127.5 - 1


def padded(rows, length=None):
    """Ids on the right of which zeros fill the bucket, or so many tokens."""
    length = length or Template.bucket(max(map(len, rows)))
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])


def asked(model, prefix_ids, rgb, rows, size):
    """The inputs that the library's processor makes of squares of this size and these texts."""
    squares = [Image.fromarray(x).resize((size, size), Image.Resampling.BILINEAR) for x in rgb]
    edges = {"shortest_edge": size * size, "longest_edge": size * size}
    half = [0.5] * 3
    processor = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, size=edges, image_mean=half, image_std=half
    )
    config, tokens = model.config, (size // 32) ** 2
    image = [config.image_token_id] * tokens
    start, end = config.vision_start_token_id, config.vision_end_token_id
    before = torch.tensor([[*prefix_ids, start, *image, end]]).expand(len(rgb), -1)
    text = padded(rows)
    length = torch.tensor([before.shape[1] + len(row) for row in rows])[:, None]
    ids = torch.cat([before, text], 1)
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < length).long(),
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        **processor(squares, return_tensors="pt"),
    }


@torch.no_grad()
def before_final_norm(model, inputs, prefix):
    """What enters the final norm, from <|vision_start|> on."""
    caught = []
    norm = model.model.language_model.norm
    handle = norm.register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    model(**inputs)
    handle.remove()
    return caught[0][:, prefix:]


def error(states, expected, rows):
    """Largest difference at tokens that are no padding, in units of the state's own spread."""
    picture = states.shape[1] - Template.bucket(max(map(len, rows)))
    real = [picture + len(row) for row in rows]
    pairs = [(a[:n], b[:n]) for a, b, n in zip(states, expected, real, strict=True)]
    spread = torch.cat([b for _, b in pairs]).std()
    return max((a - b).abs().max() for a, b in pairs) / spread


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "height", "width", "batch"),
    [(128, 128, 128, 3), (128, 128, 256, 1), (256, 256, 256, 1), (256, 512, 256, 2)],
)
def test_states_equal_the_librarys_before_its_final_norm(
    model, template, size, height, width, batch
):
    rgb, pixels = pictures(batch, height, width)
    rows = [template.ids(prompt) for prompt in PROMPTS[:batch]]
    inputs = asked(model, template.prefix_ids, rgb, rows, size)
    expected = before_final_norm(model, inputs, len(template.prefix_ids))
    states = LeanEncoder(model, template, size).encode(pixels, padded(rows))
    assert states.shape == expected.shape
    assert error(states, expected, rows) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("prefix", [1, 11])
def test_states_equal_the_librarys_for_another_shape_of_model(other, prefix):
    rgb, pixels = pictures(2, 192, 96)
    prefix_ids, rows = tuple(range(20, 20 + prefix)), [tuple(range(100, 120)), (7, 8, 9)]
    expected = before_final_norm(other, asked(other, prefix_ids, rgb, rows, 96), prefix)
    states = LeanEncoder(other, around(prefix_ids), 96).encode(pixels, padded(rows))
    assert error(states, expected, rows) < 1e-4


@torch.no_grad()
def test_a_picture_of_any_shape_differs_by_roundings_of_its_levels_only(model, template):
    rgb, pixels = pictures(1, 90, 230)
    rows = [template.ids(PROMPTS[0])]
    inputs = asked(model, template.prefix_ids, rgb, rows, 128)
    expected = before_final_norm(model, inputs, len(template.prefix_ids))
    states = LeanEncoder(model, template, 128).encode(pixels, padded(rows))
    assert error(states, expected, rows) < 0.02


@torch.no_grad()
def test_the_librarys_last_hidden_state_is_normed_unless_told_otherwise(other, monkeypatch):
    """The released weights were trained on the state before the norm, so a baseline must untie the two."""
    inputs = asked(other, (1,), pictures(1, 64, 64)[0], [(7, 8, 9)], 64)
    expected = before_final_norm(other, inputs, 0)
    normed = other(**inputs, output_hidden_states=True).hidden_states[-1]
    assert not torch.allclose(normed, expected, atol=0.1)
    for config in (other.config, other.config.text_config):
        monkeypatch.setattr(config, "tie_last_hidden_states", False, raising=False)
    assert torch.equal(other(**inputs, output_hidden_states=True).hidden_states[-1], expected)


@torch.no_grad()
def test_padding_does_not_reach_the_tokens_before_it(model, template):
    encoder = LeanEncoder(model, template, 64)
    _, pixels = pictures(1, 64, 64)
    row = template.ids("ink")
    real = 2 + 4 + len(row)
    zeros, noise = padded([row], 64), torch.randint(0, 600, (1, 64))
    noise[:, : len(row)] = zeros[:, : len(row)]
    expected = encoder.encode(pixels, torch.tensor([row]))
    for ids in (zeros, noise):
        states = encoder.encode(pixels, ids)
        torch.testing.assert_close(states[:, :real], expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_second_prompt_is_read_without_looking_again(model, template):
    encoder = LeanEncoder(model, template, 128)
    _, pixels = pictures(2, 128, 128)
    seen = encoder.see(pixels)
    for prompt in PROMPTS:
        ids = padded([template.ids(prompt)] * 2)
        states = encoder.read(seen, ids)
        torch.testing.assert_close(states, encoder.encode(pixels, ids), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_picture_and_prompt_both_move_the_state(model, template):
    encoder = LeanEncoder(model, template, 64)
    _, pixels = pictures(2, 64, 64)
    ids = padded([template.ids("ink"), template.ids("oil")])
    states = encoder.encode(pixels, ids)
    swapped = encoder.encode(pixels.flip(0), ids)
    last = len(template.ids("ink")) + 5
    assert (states - swapped)[:, last].abs().mean() > 0.01 * states.std()
    assert (states - encoder.encode(pixels, ids.flip(0)))[
        :, last
    ].abs().mean() > 0.01 * states.std()


@torch.no_grad()
def test_each_bucket_compiles_once_into_a_single_graph(other):
    encoder = LeanEncoder(other, around((1, 2)), 64)
    _, pixels = pictures(1, 48, 80)
    short, long = torch.arange(16)[None], torch.arange(32)[None]
    torch.compiler.reset()
    compiled = torch.compile(encoder.encode, fullgraph=True, backend="eager", dynamic=False)
    for ids in (short, long):
        torch.testing.assert_close(compiled(pixels, ids), encoder.encode(pixels, ids))
    with torch.compiler.set_stance("fail_on_recompile"):
        for ids in (long + 1, short + 1, long):
            compiled(pixels.flip(3), ids)


@torch.no_grad()
def test_seeing_and_reading_compile_too(other):
    encoder = LeanEncoder(other, around((1, 2)), 64)
    _, pixels = pictures(1, 64, 64)
    ids = torch.arange(16)[None]
    torch.compiler.reset()
    see = torch.compile(encoder.see, fullgraph=True, backend="eager", dynamic=False)
    read = torch.compile(encoder.read, fullgraph=True, backend="eager", dynamic=False)
    states = read(see(pixels), ids)
    torch.testing.assert_close(states, encoder.encode(pixels, ids), atol=1e-4, rtol=1e-4)
