"""Video files: H.264 in mp4, mov and mkv, VP9 in webm, with the sound of the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sidestream.config import Size
from sidestream.media.audio import AudioTrack, open_audio
from sidestream.media.metadata import comment
from sidestream.media.open import open_container
from sidestream.types import Frame, Pixels

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

THREADS = 4
MAX_RATE = 240
GROUP_SECONDS = Fraction(1, 2)
"""Between keyframes, and so what a killed process loses beside what the encoder holds back."""
# Fragments while writing, an ordinary index once closed. A fragment ends at a keyframe and nowhere else: cut by
# duration, sound would end it too, and the muxer would have to guess how long its last picture is shown. Offsets
# may be negative because a fragmented file has no edit list to say that pictures begin at 0.
FRAGMENTED = {"movflags": "hybrid_fragmented+frag_keyframe+negative_cts_offsets"}
CLUSTERED = {"cluster_time_limit": "250"}
WRITTEN_AT_ONCE = {"flush_packets": "1", "max_interleave_delta": "100000"}
BT709 = 1
LIMITED_RANGE = 1


@dataclass(frozen=True)
class Kind:
    codec: str
    even: bool
    """Sides must be even: colour is stored at half the size."""
    container: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    crf_scale: float = 1.0
    """From the scale of H.264, 0 to 51, to the codec's own."""


# The encoder holds back few frames, which a killed process would lose. With so few, x264's macroblock tree is worth
# little, and what it decides depends on how its threads are timed: the same frames would not give the same file.
H264 = {"preset": "veryfast", "rc-lookahead": "5", "bf": "2", "mbtree": "0"}
VP9 = {"b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1", "lag-in-frames": "8"}
KINDS = {
    ".mp4": Kind("libx264", True, FRAGMENTED, H264),
    ".mov": Kind("libx264", True, FRAGMENTED, H264),
    ".mkv": Kind("libx264", True, CLUSTERED, H264),
    ".webm": Kind("libvpx-vp9", False, CLUSTERED, VP9, crf_scale=63 / 51),
}


@dataclass(frozen=True)
class Picture:
    """What every picture of a movie has in common."""

    size: Size
    rate: Fraction
    crf: int


class MovieWriter:
    """Owns the container that is written. Opens its streams with the first frame, whose time base it keeps."""

    def __init__(
        self, path: Path, picture: Picture, metadata: Mapping[str, str], source: Path | None
    ) -> None:
        import av

        self._kind = KINDS[path.suffix.lower()]
        self._picture, self._source = picture, source
        options = {**self._kind.container, **WRITTEN_AT_ONCE}
        self._container: OutputContainer = av.open(str(path), "w", container_options=options)
        self._container.metadata["comment"] = comment(metadata)
        self._video: VideoStream | None = None
        self._audio: AudioTrack | None = None
        self._first: Frame | None = None
        self._end = Fraction(0)
        self.warnings: list[str] = []
        self._size = even(picture.size) if self._kind.even else picture.size
        if self._size != picture.size:
            self.warnings.append(
                f"{picture.size} is written as {self._size}, because H.264 needs even sides"
            )

    def add(self, pixels: Pixels, frame: Frame) -> None:
        first, video = self._begin(frame)
        since = frame.pts * frame.time_base - first.pts * first.time_base
        if self._audio:
            self._audio.write_until(since)
        picture = encodable(pixels, self._size)
        picture.pts, picture.time_base = round(since / first.time_base), first.time_base
        self._container.mux(video.encode(picture))
        self._end = since + 1 / self._picture.rate

    def close(self) -> None:
        try:
            if self._video:
                self._container.mux(self._video.encode())
            if self._audio:
                self._audio.write_until(self._end)
                self._audio.close()
                self.warnings += self._audio.warnings
        finally:
            self._container.close()

    def _begin(self, frame: Frame) -> tuple[Frame, VideoStream]:
        if self._first is None or self._video is None:
            self._first, self._video = frame, self._add_video(frame)
            if self._source:
                audio = open_audio(self._source, self._container, frame.pts * frame.time_base)
                if isinstance(audio, str):
                    self.warnings.append(audio)
                else:
                    self._audio = audio
        return self._first, self._video

    def _add_video(self, frame: Frame) -> VideoStream:
        shown = replace(self._picture, size=self._size)
        return add_video(self._container, self._kind, shown, frame.time_base)


def add_video(
    container: OutputContainer, kind: Kind, picture: Picture, time_base: Fraction
) -> VideoStream:
    """The stream of pictures of a container that is written; its size is one that the codec can have."""
    from av.video.stream import VideoStream as Stream

    rate = min(picture.rate, Fraction(MAX_RATE))
    video = container.add_stream(
        kind.codec,
        rate=rate,
        options={**kind.options, "crf": str(round(picture.crf * kind.crf_scale))},
        width=picture.size.width,
        height=picture.size.height,
        pix_fmt="yuv420p",
    )
    assert isinstance(video, Stream)
    codec = video.codec_context
    codec.time_base = time_base
    codec.gop_size = max(1, int(rate * GROUP_SECONDS))
    codec.thread_count = THREADS
    codec.colorspace = codec.color_primaries = codec.color_trc = BT709
    codec.color_range = LIMITED_RANGE
    return video


def encodable(pixels: Pixels, size: Size) -> VideoFrame:
    """A picture as encoders take it: padded to the size, in BT.709."""
    from av.video.frame import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    return VideoFrame.from_ndarray(_padded(pixels, size)).reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INP,
    )


def even(size: Size) -> Size:
    """With the sides that H.264 can have."""
    return Size(size.width + size.width % 2, size.height + size.height % 2)


def faststart(path: Path, copy: Path) -> None:
    """Copies a finished movie so that its index comes first."""
    import av

    with (
        open_container(path) as found,
        av.open(str(copy), "w", container_options={"movflags": "faststart"}) as output,
    ):
        output.metadata.update(found.metadata)
        streams = {
            stream.index: output.add_stream_from_template(stream) for stream in found.streams
        }
        for packet in found.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)


def _padded(pixels: Pixels, size: Size) -> Pixels:
    rows, columns = size.height - pixels.shape[0], size.width - pixels.shape[1]
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), "edge") if rows or columns else pixels
