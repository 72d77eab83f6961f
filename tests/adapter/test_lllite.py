import pytest
from torch import nn

from sidestream.adapter.lllite import SiteNetwork, conv_strides
from sidestream.config import Size


@pytest.mark.parametrize(
    ("stride", "steps"), [(4, [4]), (8, [4, 2]), (16, [4, 4]), (32, [4, 4, 2]), (64, [4, 4, 4])]
)
def test_a_stride_is_split_into_fours_and_a_two(stride, steps):
    convs = [m for m in SiteNetwork(8, stride).conditioning1 if isinstance(m, nn.Conv2d)]
    assert conv_strides(stride) == steps
    assert [conv.stride[0] for conv in convs] == steps
    assert [conv.kernel_size for conv in convs] == [conv.stride for conv in convs]
    assert [conv.in_channels for conv in convs] == [3] + [16] * (len(steps) - 1)
    assert [conv.out_channels for conv in convs] == [16] * (len(steps) - 1) + [32]


def test_the_last_convolution_is_not_rectified():
    assert isinstance(SiteNetwork(8, 32).conditioning1[-1], nn.Conv2d)


def test_a_network_has_the_released_layout():
    assert list(SiteNetwork(256, 8).state_dict()) == [
        "conditioning1.0.weight",
        "conditioning1.0.bias",
        "conditioning1.2.weight",
        "conditioning1.2.bias",
        "down.0.weight",
        "down.0.bias",
        "mid.0.weight",
        "mid.0.bias",
        "up.0.weight",
        "up.0.bias",
    ]


def test_the_reference_half_carries_no_conditioning(pictures):
    size = Size(96, 64)
    cond_BNE = SiteNetwork(8, 8).embed(pictures(size, 2))
    cond_BHWE = cond_BNE.unflatten(1, (8, 24))
    assert cond_BHWE[:, :, :12].count_nonzero() == cond_BHWE[:, :, :12].numel()
    assert cond_BHWE[:, :, 12:].count_nonzero() == 0


def test_a_token_sees_its_own_part_of_the_picture(pictures):
    network, picture = SiteNetwork(8, 8), pictures(Size(96, 64), 1)
    changed = picture.clone()
    changed[..., 16:24, 40:48] *= -1  # row 2, column 5 of a grid 24 wide
    moved = (network.embed(changed) - network.embed(picture)).abs().sum(-1)[0]
    assert moved.nonzero().flatten().tolist() == [2 * 24 + 5]
