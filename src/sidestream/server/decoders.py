"""What comes in by WebRTC is decoded within bounds: a picture's size is the sender's to choose, and memory is ours."""

from __future__ import annotations

from functools import partial

from aiortc import codecs, rtcrtpreceiver
from aiortc.codecs.base import Decoder
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

from sidestream.server.losses import Burst

KEY_HEAD = 10
"""Bytes at the front of a VP8 key frame, with its size at their end (RFC 6386, section 9.1)."""


def bound(pixels: int) -> None:
    """From now on every picture that has more is dropped; aiortc has no setting for it."""
    rtcrtpreceiver.get_decoder = partial(decoder, pixels=pixels)


def decoder(codec: RTCRtpCodecParameters, *, pixels: int) -> Decoder:
    made = codecs.get_decoder(codec)
    if isinstance(made, H264Decoder | Vp8Decoder):
        made.codec.options = {"max_pixels": str(pixels)}
        return _Newest(_Vp8(made, pixels) if isinstance(made, Vp8Decoder) else made)
    return made


class _Newest(Decoder):
    """Pictures that come late, several at once, are decoded all, for each builds upon those before; one is used."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        if isinstance(encoded_frame, Burst):
            for earlier in encoded_frame.earlier:
                self._inner.decode(earlier)
        return self._inner.decode(encoded_frame)


class _Vp8(Decoder):
    """libvpx makes room for a picture before FFmpeg is asked how large it may be."""

    def __init__(self, inner: Vp8Decoder, pixels: int) -> None:
        self._inner = inner
        self._pixels = pixels

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        if pixels_of(encoded_frame.data) > self._pixels:
            return []
        return self._inner.decode(encoded_frame)


def pixels_of(data: bytes) -> int:
    """Of a VP8 key frame; others have none of their own."""
    if len(data) < KEY_HEAD or data[0] & 1:
        return 0
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height
