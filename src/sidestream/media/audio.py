"""The sound of the source, brought into the output: copied where the container takes it, else encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.media.open import open_container

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

COPIED = {
    "mp4": frozenset(("aac", "mp3", "ac3", "eac3", "alac", "opus")),
    "mov": frozenset(("aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le")),
    "matroska": frozenset(
        ("aac", "mp3", "ac3", "eac3", "alac", "opus", "vorbis", "flac", "pcm_s16le", "pcm_s24le")
    ),
    "webm": frozenset(("opus", "vorbis")),
}
"""By the name of FFmpeg's muxer."""
ENCODERS = {"webm": "libopus"}
RATE = 48_000


class AudioTrack:
    """Carries sound from `source` to `output`, on the time of the pictures. Owns the opened source.

    `origin` is the time, in the source, of the first picture that is written.
    """

    def __init__(
        self,
        source: InputContainer,
        stream: AudioStream,
        output: OutputContainer,
        origin: Fraction,
    ) -> None:
        from av.error import FFmpegError

        self._source, self._output, self._origin = source, output, origin
        self._copies = _can_copy(stream, output)
        self._target = (
            output.add_stream_from_template(stream) if self._copies else _encoder(stream, output)
        )
        self.warnings: list[str] = []
        if origin > 1:
            with suppress(FFmpegError):  # what cannot seek is read from its beginning
                source.seek(int((origin - 1) * 1_000_000))
        self._packets = self._read(stream)
        self._next = next(self._packets, None)

    def write_until(self, seconds: Fraction) -> None:
        while self._next is not None and self._next[0] < seconds:
            self._write(*self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        if not self._copies:
            self._mux_encoded(self._target.encode())
        self._source.close()

    def _read(self, stream: AudioStream) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        """Packets with their time in the output, from 0 on."""
        from av.error import FFmpegError

        last = Fraction(-1, RATE)
        try:
            for packet in self._source.demux(stream):
                if packet.pts is None:
                    continue
                time = packet.pts * packet.time_base - self._origin
                if time > last:
                    last = time
                    yield time, packet
        except FFmpegError:
            self.warnings.append("the sound of the source is damaged and ends early")

    def _write(self, time: Fraction, packet: Packet[AudioStream]) -> None:
        from av.error import FFmpegError

        pts = round(time / packet.time_base)
        if self._copies:
            packet.pts = packet.dts = pts
            packet.stream = self._target
            self._output.mux(packet)
            return
        try:
            decoded = packet.decode()
        except FFmpegError:
            return
        for frame in decoded:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts = round((frame.pts * frame.time_base - self._origin) / frame.time_base)
                self._mux_encoded(self._target.encode(frame))

    def _mux_encoded(self, packets: list[Packet[AudioStream]]) -> None:
        """Without what AAC's encoder puts before time 0: a fragmented file has no way to say so."""
        self._output.mux([packet for packet in packets if _ends_after_zero(packet)])


def open_audio(source: Path, output: OutputContainer, origin: Fraction) -> AudioTrack | str | None:
    """The track to write; a sentence if there is sound that cannot be brought over; None if there is none."""
    container = open_container(source)
    stream = next(iter(container.streams.audio), None)
    if stream is not None and stream.codec_context:
        return AudioTrack(container, stream, output, origin)
    container.close()
    return stream and f"the sound of {source} cannot be decoded and was left out"


def _ends_after_zero(packet: Packet[AudioStream]) -> bool:
    return packet.pts is None or packet.pts + (packet.duration or 1) > 0


def _can_copy(stream: AudioStream, output: OutputContainer) -> bool:
    """AAC of a broadcast stream says in every packet what a file wants to know at its head."""
    codec = stream.codec_context
    complete = codec.name != "aac" or codec.extradata is not None
    return complete and codec.name in COPIED[output.format.name]


def _encoder(stream: AudioStream, output: OutputContainer) -> AudioStream:
    from av.audio.stream import AudioStream as Encoder

    layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    encoder = output.add_stream(ENCODERS.get(output.format.name, "aac"), RATE, layout=layout)
    assert isinstance(encoder, Encoder)
    return encoder
