"""Whatever a picture is stored as, its colours and its upright shape come out."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from PIL import Image

from sidestream.config import Size
from sidestream.errors import SourceError
from sidestream.media.colour import to_pixels
from sidestream.media.open import open_source

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (16, 16, 16), (255, 255, 255)]
TAGS = {Colorspace.ITU709: 1, Colorspace.ITU601: 6, Colorspace.BT2020: 9}


def shown(path) -> list[tuple[int, ...]]:
    with open_source(path) as source:
        return [tuple(int(level) for level in frame.pixels[40, 40]) for frame in source]


def close(found, expected, levels=3) -> bool:
    return np.abs(np.array(found) - np.array(expected)).max() <= levels


def stored_in(matrix, levels, pix_fmt="yuv420p"):
    return lambda frame: frame.reformat(
        format=pix_fmt, dst_colorspace=matrix, dst_color_range=levels
    )


@pytest.mark.parametrize("levels", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", list(TAGS))
def test_the_tagged_matrix_and_range_are_used(make, flat, matrix, levels):
    def tag(stream):
        stream.codec_context.colorspace = TAGS[matrix]
        stream.codec_context.color_range = levels

    path = make.video(
        pictures=[flat(colour) for colour in COLOURS],
        options={"crf": "5"},
        change=stored_in(matrix, levels),
        setup=tag,
    )
    assert close(shown(path), COLOURS)


@pytest.mark.parametrize(
    ("size", "matrix"), [((128, 96), Colorspace.ITU601), ((1280, 720), Colorspace.ITU709)]
)
def test_without_a_tag_the_size_decides(make, flat, size, matrix):
    pictures = [flat((200, 120, 40), *size)]
    path = make.video(pictures=pictures, change=stored_in(matrix, ColorRange.MPEG))
    assert close(shown(path), [(200, 120, 40)])


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p10le", "yuv444p16le", "yuv422p", "rgb48le", "gbrp10le", "bgr0"]
)
def test_other_depths_and_layouts(make, flat, pix_fmt):
    path = make.video(
        "clip.mkv", [flat(c) for c in COLOURS], codec="ffv1", pix_fmt=pix_fmt,
        change=lambda frame: frame.reformat(format=pix_fmt, dst_colorspace=Colorspace.ITU601),
    )  # fmt: skip
    assert close(shown(path), COLOURS)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
def test_grey(make, flat, pix_fmt):
    path = make.video(
        "clip.mkv", [flat((level,) * 3) for level in (0, 100, 255)], codec="ffv1", pix_fmt=pix_fmt
    )
    assert close(shown(path), [(0,) * 3, (100,) * 3, (255,) * 3], levels=1)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("a.png", "png", "rgba"), ("a.webm", "libvpx-vp9", "yuva420p"), ("a.mkv", "ffv1", "yuva444p"),
     ("b.webm", "libvpx", "yuva420p")],
)  # fmt: skip
def test_what_shines_through_is_black(make, flat, name, codec, pix_fmt):
    path = make.video(
        name,
        [flat((200, 100, 0, 128))],
        codec=codec,
        pix_fmt=pix_fmt,
        options={"auto-alt-ref": "0"},
    )
    assert close(shown(path), [(100, 50, 0)], levels=4)


def test_a_transparent_palette_is_black_too(tmp_path):
    drawn = Image.new("P", (64, 64), 1)
    drawn.putpalette([255, 0, 0, 0, 255, 0])
    drawn.save(tmp_path / "a.png", transparency=1)
    assert shown(tmp_path / "a.png") == [(0, 0, 0)]


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_is_applied(make, picture, degrees):
    path = make.video(pictures=[picture(0)], rotation=degrees, options={"crf": "5"})
    with open_source(path) as source:
        assert (source.width, source.height) == ((128, 96) if degrees in (0, 180) else (96, 128))
        (frame,) = source
    expected = np.rot90(picture(0), degrees // 90)  # counter-clockwise, both
    assert np.abs(frame.pixels - expected.astype(int)).mean() < 4


@pytest.mark.parametrize("degrees", [0, 90])
def test_a_mirrored_video_is_put_right(make, picture, degrees):
    def mirror(stream):
        stream.set_display_rotation(degrees, hflip=True)

    with open_source(make.video(pictures=[picture(0)], setup=mirror)) as source:
        (frame,) = source
    expected = np.rot90(picture(0)[:, ::-1], degrees // 90)
    other = np.rot90(picture(0), degrees // 90)[:, ::-1]
    assert min(np.abs(frame.pixels - way.astype(int)).mean() for way in (expected, other)) < 4


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_of_a_photograph_is_applied(tmp_path, picture, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture(0)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    with open_source(tmp_path / "a.jpg") as source:
        (frame,) = source
    with Image.open(tmp_path / "a.jpg") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.abs(frame.pixels - expected.astype(int)).mean() < 4


def test_pixels_that_are_not_square_become_square(make):
    from fractions import Fraction

    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    with open_source(make.video("clip.mkv", 2, setup=wide)) as source:
        assert (source.width, source.height) == (192, 96)


def halved(width: int, height: int) -> Size:
    return Size(width // 2, height // 2)


@pytest.mark.parametrize("degrees", [0, 90])
def test_what_is_made_smaller_on_the_way_is_the_mean_of_what_it_would_have_been(
    make, picture, degrees
):
    path = make.video(pictures=[picture(0)], rotation=degrees, options={"crf": "5"})
    with open_source(path) as source, open_source(path, smaller=halved) as small:
        (whole,), (half,) = source, small
        assert (source.width, source.height) == (small.width, small.height)
    height, width = whole.pixels.shape[:2]
    means = whole.pixels.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    assert half.pixels.shape == means.shape
    assert np.abs(half.pixels - means).mean() < 1


def test_what_is_transparent_stays_as_large_as_it_is(tmp_path):
    Image.new("RGBA", (64, 64), (200, 100, 50, 128)).save(tmp_path / "a.png")
    with open_source(tmp_path / "a.png", smaller=halved) as source:
        (frame,) = source
    assert frame.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("curve", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_is_mapped_to_what_a_screen_shows(curve):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None].repeat(16, 0).repeat(3, 2)
    frame = VideoFrame.from_ndarray(ramp, format="rgb48le").reformat(
        format="yuv420p10le", dst_colorspace=Colorspace.BT2020
    )
    frame.colorspace, frame.color_trc = TAGS[Colorspace.BT2020], curve
    frame.color_primaries, frame.color_range = ColorPrimaries.BT2020, ColorRange.MPEG
    row = to_pixels(frame, VideoReformatter())[8].astype(int)
    assert (np.diff(row[:, 1]) >= -1).all() and row[0].max() < 5 and row[-1].min() > 250
    assert np.ptp(row, axis=1).max() <= 6  # grey stays grey
    assert row[48, 1] > ramp[0, 48, 0] / 257 + 15  # brighter than the code values


def test_colours_that_cannot_be_converted(make, flat):
    def strange(stream):
        stream.codec_context.colorspace = 14  # ICtCp

    path = make.video("clip.mkv", [flat((200, 120, 40))], setup=strange)
    with pytest.raises(SourceError, match="colours"):
        shown(path)
