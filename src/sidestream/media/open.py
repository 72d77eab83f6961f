"""The one place that opens media for reading: files, addresses and the screen, of known kinds, within limits and times."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidestream.config import LIMITS, Limits
from sidestream.config_live import ShowLimits
from sidestream.errors import ConfigError, SourceError
from sidestream.media.address import Address
from sidestream.media.colour import Smaller
from sidestream.media.decode import Decoder, Feed
from sidestream.media.images import SUFFIXES, Pictures, find_pictures
from sidestream.media.names import check_name
from sidestream.media.video import Span, VideoSource

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,ogg,asf,mxf,nut,ivf,obu,"
    "h264,hevc,dv,yuv4mpegpipe,gif,apng,mjpeg"
)
PICTURE_FORMATS = (
    "png_pipe,jpeg_pipe,webp,webp_pipe,webp_anim,bmp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,pbm_pipe"
)
SOUND_FORMATS = "mp3,wav,flac,aac"
"""Only so that a file without a picture is named for what it is."""
LIVE_FORMATS = (
    "rtsp,rtp,mpegts,flv,live_flv,mpjpeg,mjpeg,mov,mp4,matroska,webm,ogg,nut,aac,mp3,h264,hevc"
)
PLAYLIST = ".m3u8"
"""Only what is asked for by this ending may name further addresses, and only a list."""
# No protocol that reads files: what is fetched may name other addresses.
STREAMS = "tcp,udp,rtp,tls,crypto"
PROTOCOLS = {
    "rtsp": f"rtsp,{STREAMS}",
    "rtsps": f"rtsps,rtsp,{STREAMS}",
    "rtmp": f"rtmp,{STREAMS}",
    "rtmps": f"rtmps,rtmp,{STREAMS}",
    "http": f"http,https,{STREAMS}",
    "https": f"http,https,{STREAMS}",
    "srt": "srt,udp",
}
SCREENS = {
    "linux": ("x11grab", "DISPLAY", ":0.0"),
    "win32": ("gdigrab", "", "desktop"),
    "darwin": ("avfoundation", "", "Capture screen 0"),
}
"""By platform: FFmpeg's device, the variable that names the screen, and its usual name."""
LONGEST = 1e9
"""Seconds that `start` and `duration` may say; more would leave the range of timestamps."""
JPEG = b"\xff\xd8\xff"
"""A photograph whose EXIF comes first is not recognised by FFmpeg without its name."""


def open_source(
    path: str | PathLike[str],
    *,
    start: float = 0.0,
    duration: float | None = None,
    strict: bool = False,
    smaller: Smaller | None = None,
    limits: Limits = LIMITS,
) -> VideoSource:
    """Opens a video, a picture, an animated GIF, a folder of pictures or a pattern such as img_%04d.png.

    `start` and `duration` choose a part, in seconds. What is found damaged is listed in the source's
    `warnings`; with `strict` it is an error once all has been read. `smaller` says, of a picture's width and
    height, how small it may be handed out.
    """
    if not (0 <= start <= LONGEST and (duration is None or 0 < duration <= LONGEST)):
        raise ConfigError(
            f"start must be 0 or more, duration above 0 and both at most {LONGEST:.0f} seconds,"
            f" got start {start} and duration {duration}"
        )
    check_name(path, SourceError)
    path = Path(path)
    feed = _feed(path, limits)
    try:
        span = Span(start, duration)
        return VideoSource(feed, str(path), span, strict=strict, smaller=smaller, limits=limits)
    except BaseException:
        feed.close()
        raise


def open_container(path: Path, limits: Limits = LIMITS) -> InputContainer:
    """Opens a local file; whatever a file may refer to outside itself is refused."""
    import av
    from av.error import FFmpegError

    if not path.is_file():
        raise SourceError(
            f"{path} is not a file: give a video, a picture or a folder of pictures"
            if path.exists()
            else f"there is no file {path}: check the name"
        )
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty: give a video or a picture")
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": f"{VIDEO_FORMATS},{PICTURE_FORMATS},{SOUND_FORMATS}",
        "max_pixels": str(limits.max_source_pixels),
    }
    try:
        container = av.open(
            f"file:{path.absolute()}",  # the name of a protocol at its front would be obeyed
            format="jpeg_pipe" if _head(path).startswith(JPEG) else None,
            options=options,
            metadata_errors="replace",
            timeout=(limits.open_timeout, limits.read_timeout),
        )
    except FFmpegError as error:
        raise SourceError(_reason(path, error)) from error
    if len(container.streams) > limits.max_streams_in_file:
        streams = len(container.streams)
        container.close()
        raise SourceError(
            f"{path} has {streams} streams, at most {limits.max_streams_in_file} are taken: keep one"
        )
    return container


def open_live(address: Address, limits: ShowLimits) -> InputContainer:
    """Opens a URL, a screen, or a local file that is to be played as if it were live."""
    if address.kind == "file":
        check_name(address.value, SourceError)
        return open_container(Path(address.value))
    if address.kind == "screen":
        return _open_screen(address, limits)
    url = urlsplit(address.value)
    scheme = url.scheme.lower()
    is_list = url.path.lower().endswith(PLAYLIST)
    options = {
        "protocol_whitelist": PROTOCOLS[scheme],
        "format_whitelist": f"{LIVE_FORMATS},hls" if is_list else LIVE_FORMATS,
        "probesize": "1000000",
        "analyzeduration": "400000",
    }
    if scheme.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    if scheme.startswith("http"):
        options["max_redirects"] = "0"
    return _open_url(address, address.value, None, options, limits)


def _open_screen(address: Address, limits: ShowLimits) -> InputContainer:
    import av

    form, variable, usual = SCREENS.get(sys.platform, ("none", "", ""))
    if form not in av.formats_available:
        raise SourceError(
            f"this build of FFmpeg cannot capture the screen ({form}): send it by OBS to an RTMP or RTSP server"
        )
    name = address.value or os.environ.get(variable, "") or usual
    return _open_url(address, name, form, {"framerate": "30"}, limits)


_HINTS = {"screen": "is there a screen here? Name it, as in screen::0.0, or set DISPLAY"}


def _open_url(
    address: Address, url: str, form: str | None, options: dict[str, str], limits: ShowLimits
) -> InputContainer:
    import av
    from av.error import ConnectionRefusedError, ExitError, FFmpegError, ProtocolNotFoundError

    try:
        container = av.open(
            url,
            format=form,
            options=options,
            metadata_errors="replace",
            timeout=(limits.open_timeout, limits.stall),
        )
    except ConnectionRefusedError:
        raise SourceError(f"{address} refuses connections: is its server running?") from None
    except ProtocolNotFoundError:
        scheme = url.partition(":")[0]
        raise SourceError(
            f"this build of FFmpeg has no {scheme}: send it as RTSP, RTMP or HTTP"
        ) from None
    except ExitError:
        raise SourceError(
            f"{address} did not answer within {limits.open_timeout:g} s: is anything sent there?"
        ) from None
    # Its words hold the address, password and all, so that neither they nor the error itself are passed on.
    except (FFmpegError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        hint = _HINTS.get(address.kind, "check the address")
        if getattr(error, "errno", None) == errno.EIO and url.lower().startswith("http"):
            hint = "no such server, or it sends on: give the address that it leads to"
        raise SourceError(f"{address} cannot be opened ({reason}): {hint}") from None
    if len(container.streams) > LIMITS.max_streams_in_file:
        container.close()
        raise SourceError(
            f"{address} has more than {LIMITS.max_streams_in_file} streams: send fewer"
        )
    return container


def _feed(path: Path, limits: Limits) -> Feed:
    pictures = find_pictures(path)
    if pictures is None:
        return _decoder(path, limits)
    if not pictures:
        raise SourceError(
            f"{path} has no pictures: give a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return Pictures(pictures, partial(_decoder, limits=limits))


def _decoder(path: Path, limits: Limits) -> Decoder:
    container = open_container(path, limits)
    try:
        return Decoder(
            container, video_stream(container, path, limits), max_pixels=limits.max_source_pixels
        )
    except SourceError:
        container.close()
        raise


def video_stream(container: InputContainer, path: Path | str, limits: Limits) -> VideoStream:
    """The first video that is not the cover of a song."""
    from av.stream import Disposition

    found = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not found:
        raise SourceError(f"{path} has no video stream: give a video or a picture")
    if not found[0].codec_context:
        raise SourceError(
            f"{path} holds video of a kind that cannot be decoded: convert it to H.264"
        )
    width, height = found[0].codec_context.width, found[0].codec_context.height
    if width * height > limits.max_source_pixels:
        raise SourceError(
            f"{path} is {width}x{height} pixels, at most {limits.max_source_pixels} are taken: scale it down"
        )
    return found[0]


def _reason(path: Path, error: Exception) -> str:
    from av.error import ArgumentError, ExitError

    if isinstance(error, ExitError):  # PyAV's word for a time-out
        return f"{path} did not answer in time: is its disk or network share there?"
    if _head(path)[4:8] == b"ftyp":
        return f"{path} is incomplete (no index): copy or record it again"
    if isinstance(error, EOFError):
        return f"{path} ends before its first frame: copy or record it again"
    if isinstance(error, ArgumentError):  # the format is not on the list
        return f"{path} is neither a video nor a picture (playlists and text are refused)"
    why = getattr(error, "strerror", error)
    return f"{path} cannot be read as a video or a picture ({why}): give a video, a picture or a folder of pictures"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)
