"""The strip survives what codecs and browsers do to it, or is known to be damaged."""

import numpy as np
import pytest
from av import CodecContext, VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from sidestream.server import stamp

values = st.integers(0, stamp.MODULUS - 1)


def luma(pixels):
    return pixels[:, :, 1]


@given(values, st.sampled_from([(64, 64), (96, 128), (384, 512), (288, 512), (512, 288)]))
def test_what_is_added_is_read(value, size):
    pixels = np.full((*size, 3), 90, np.uint8)
    stamped = stamp.add(pixels, value)
    assert stamp.read(luma(stamped)) == value
    assert stamp.picture_rows(stamped.shape[0]) == size[0]
    assert np.array_equal(stamped[: size[0]], pixels)


@pytest.mark.parametrize("codec", ["libvpx", "libx264"])
def test_a_strip_survives_a_codec_at_a_low_rate(codec):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (128, 128, 3), np.uint8)
    stamped = stamp.add(pixels, 0b1010_0011_0101_1100_0101)
    encoder = CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 128, 136, "yuv420p"
    encoder.bit_rate, encoder.framerate = 200_000, 20
    decoder = CodecContext.create("vp8" if codec == "libvpx" else "h264", "r")
    packets = [*encoder.encode(VideoFrame.from_ndarray(stamped)), *encoder.encode(None)]
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    assert stamp.read(frames[0].to_ndarray()[:136]) == 0b1010_0011_0101_1100_0101


@given(values, st.floats(0.5, 2))
def test_a_strip_survives_a_browser_that_shrinks_the_picture(value, scale):
    import cv2

    stamped = stamp.add(np.full((384, 512, 3), 90, np.uint8), value)
    size = (max(256, round(512 * scale)), round(408 * scale))
    assert stamp.read(luma(cv2.resize(stamped, size, interpolation=cv2.INTER_AREA))) == value


@given(values, st.integers(0, stamp.CELLS - 1))
def test_a_damaged_strip_is_not_believed(value, cell):
    stamped = stamp.add(np.full((96, 128, 3), 90, np.uint8), value)
    stamped[96:, cell * 4 : cell * 4 + 4] ^= 255
    assert stamp.read(luma(stamped)) != value


def test_a_picture_without_a_strip_has_no_value():
    noise = np.random.default_rng(1).integers(0, 256, (408, 512), np.uint8)
    assert stamp.read(noise) is None
    assert stamp.read(noise[:8, :8]) is None
