"""The sound of the source, brought into the output: copied where the container takes it, else encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.config import LIMITS, Limits
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

    Time runs from `begin(origin)`, the time in the source of the first picture written.
    """

    def __init__(
        self, source: InputContainer, stream: AudioStream, output: OutputContainer
    ) -> None:
        self._source, self._stream, self._output = source, stream, output
        self._copies = stream.codec_context.name in COPIED[output.format.name] and _is_complete(
            stream
        )
        self._target = (
            output.add_stream_from_template(stream) if self._copies else _encoder(stream, output)
        )
        self._origin = Fraction(0)
        self._packets: Iterator[tuple[Fraction, Packet[AudioStream]]] = iter(())
        self._next: tuple[Fraction, Packet[AudioStream]] | None = None
        self.warnings: list[str] = []

    def begin(self, origin: Fraction) -> None:
        from av.error import FFmpegError

        self._origin = origin
        if origin > 1:
            try:
                self._source.seek(int((origin - 1) * 1_000_000))
            except FFmpegError:
                self.warnings.append("the sound was searched from its beginning")
        self._packets = self._read()
        self._next = next(self._packets, None)

    def write_until(self, seconds: Fraction) -> None:
        while self._next is not None and self._next[0] < seconds:
            self._write(*self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        if not self._copies:
            self._mux_encoded(self._target.encode())
        self._source.close()

    def _read(self) -> Iterator[tuple[Fraction, Packet[AudioStream]]]:
        """Packets with their time in the output, from 0 on."""
        from av.error import FFmpegError

        last = Fraction(-1, RATE)
        try:
            for packet in self._source.demux(self._stream):
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


def open_audio(
    source: Path, output: OutputContainer, limits: Limits = LIMITS
) -> AudioTrack | str | None:
    """The track to write; a sentence if there is sound that cannot be brought over; None if there is none."""
    container = open_container(source, limits)
    stream = next(iter(container.streams.audio), None)
    if stream is None or not stream.codec_context:
        container.close()
        return (
            None if stream is None else f"the sound of {source} cannot be decoded and was left out"
        )
    return AudioTrack(container, stream, output)


def _ends_after_zero(packet: Packet[AudioStream]) -> bool:
    return packet.pts is None or packet.pts + (packet.duration or 1) > 0


def _is_complete(stream: AudioStream) -> bool:
    """AAC of a broadcast stream says in every packet what a file wants to know at its head."""
    return stream.codec_context.name != "aac" or stream.codec_context.extradata is not None


def _encoder(stream: AudioStream, output: OutputContainer) -> AudioStream:
    from av.audio.stream import AudioStream as Encoder

    layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    encoder = output.add_stream(ENCODERS.get(output.format.name, "aac"), RATE, layout=layout)
    assert isinstance(encoder, Encoder)
    return encoder
