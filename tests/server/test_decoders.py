"""Pictures that are too large are known by their first bytes, and never decoded."""

from __future__ import annotations

from collections.abc import Iterator

import av
import pytest
from aiortc import rtcrtpreceiver
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame
from av.error import FFmpegError

from sidestream.config_live import ServerLimits
from sidestream.server import decoders
from sidestream.server.losses import Burst

WIDTH, HEIGHT = 128, 96
PIXELS = WIDTH * HEIGHT


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = rtcrtpreceiver.get_decoder
    yield
    rtcrtpreceiver.get_decoder = before


def codec(name: str) -> RTCRtpCodecParameters:
    return RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=96)


def picture() -> VideoFrame:
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    frame.pts, frame.time_base = 0, VIDEO_TIME_BASE
    return frame


def vp8() -> bytes:
    payloads, _ = Vp8Encoder().encode(picture(), force_keyframe=True)
    return b"".join(map(vp8_depayload, payloads))


def h264() -> bytes:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = VIDEO_TIME_BASE
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    return b"".join(bytes(packet) for packet in encoder.encode(picture()))


def decoded(name: str, data: bytes, pixels: int) -> int:
    """How many pictures came of it, with the decoder that aiortc asks for."""
    decoders.bound(pixels)
    try:
        return len(rtcrtpreceiver.get_decoder(codec(name)).decode(JitterFrame(data, 0)))
    except FFmpegError:
        return 0


def test_a_picture_of_the_largest_size_is_decoded_and_one_above_it_is_not():
    assert decoded("VP8", vp8(), PIXELS) == 1
    assert decoded("VP8", vp8(), PIXELS - 1) == 0
    assert decoded("H264", h264() * 2, PIXELS) >= 1
    assert decoded("H264", h264() * 2, PIXELS // 2) == 0


def test_of_pictures_that_come_at_once_the_newest_is_used_and_builds_upon_the_others():
    encoder, built = Vp8Encoder(), []
    for number in range(3):
        frame = picture()
        frame.pts = number * 3000
        for plane in frame.planes:
            plane.update(bytes([40 * (number + 1)]) * plane.buffer_size)
        built.append(JitterFrame(b"".join(map(vp8_depayload, encoder.encode(frame)[0])), 3000))
    decoders.bound(PIXELS)
    decoder = rtcrtpreceiver.get_decoder(codec("VP8"))
    (newest,) = decoder.decode(Burst(built))
    assert isinstance(newest, VideoFrame)
    assert abs(int(newest.to_ndarray()[: HEIGHT // 2].mean()) - 120) < 8


def test_what_says_that_it_is_enormous_never_reaches_the_decoder():
    claim = (16_383).to_bytes(2, "little") * 2
    data = vp8()[:6] + claim + vp8()[10:]
    assert decoders.pixels_of(data) == 16_383**2 > ServerLimits().received_pixels
    decoders.bound(ServerLimits().received_pixels)
    # Not decoded at all: libvpx would have failed on it, with the room for it already made.
    assert rtcrtpreceiver.get_decoder(codec("VP8")).decode(JitterFrame(data, 0)) == []


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00" * 9, b"\x01" + b"\xff" * 20])
def test_what_is_no_key_frame_has_no_size_of_its_own(data: bytes):
    assert decoders.pixels_of(data) == 0


def test_sound_is_decoded_as_it_was():
    opus = RTCRtpCodecParameters(
        mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96
    )
    decoders.bound(PIXELS)
    assert type(rtcrtpreceiver.get_decoder(opus)).__name__ == "OpusDecoder"
