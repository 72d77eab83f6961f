import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from sidestream.models.instruct.patches import patches

LEVEL = 2 / 255
"""One 8-bit level where black is -1 and white is 1."""


def of_the_library(rgb, size):
    half = [0.5] * 3
    processor = Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        size={"shortest_edge": size * size, "longest_edge": size * size},
        image_mean=half,
        image_std=half,
        resample=Image.Resampling.BILINEAR,
    )
    return processor(Image.fromarray(rgb), return_tensors="pt")["pixel_values"]


def both(height, width, size):
    rgb = np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 127.5 - 1
    if height != width:  # the library keeps the shape; we stretch
        rgb = np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BILINEAR))
    return patches(pixels, size=size, patch=16, merge=2, times=2)[0], of_the_library(rgb, size)


@pytest.mark.parametrize("size", [64, 256])
def test_a_picture_of_the_right_size_is_only_cut_up(size):
    ours, expected = both(size, size, size)
    assert ours.shape == (size**2 // 256, 1536)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (128, 256)])
def test_a_halved_picture_has_the_same_levels(height, width):
    ours, expected = both(height, width, 128)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (360, 640), (90, 70)])
def test_any_other_picture_is_at_most_one_level_off_and_rarely(height, width):
    """PIL's weights have 22 bits, so that sums halfway between two levels round either way."""
    ours, expected = both(height, width, 128)
    off = (ours - expected).abs() / LEVEL
    assert off.max() < 1.001
    assert off.mean() < 0.005


def test_a_batch_is_its_pictures_and_any_precision_gives_float32():
    pixels = torch.rand(3, 3, 40, 72) * 2 - 1
    together = patches(pixels, size=64, patch=16, merge=2, times=2)
    alone = patches(pixels[1:2], size=64, patch=16, merge=2, times=2)
    assert torch.equal(together[1:2], alone)
    assert patches(pixels.half(), size=64, patch=16, merge=2, times=2).dtype == torch.float32
