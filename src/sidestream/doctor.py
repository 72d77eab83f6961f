"""What works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sidestream.config import ModelConfig, Size
from sidestream.errors import SidestreamError
from sidestream.models import components, zoo
from sidestream.report import LIBRARIES, versions

if TYPE_CHECKING:
    from sidestream.stylizer import Stylizer

Load = Callable[[str, ModelConfig], AbstractContextManager["Stylizer"]]
"""As Stylizer.load."""

CODECS = {
    "libx264": "write .mp4, .mov and .mkv",
    "libvpx-vp9": "write .webm",
    "gif": "write .gif",
    "aac": "keep the sound in .mp4",
    "libopus": "keep the sound in .webm",
}
MODULES = {"opencv-python-headless": "cv2", "huggingface-hub": "huggingface_hub"}
"""How libraries are imported whose names differ."""
EXTRAS = {
    "server": (("fastapi", "uvicorn", "aiortc"), "run `serve`"),
    "virtualcam": (("pyvirtualcam",), "be a webcam for other programs"),
    "ndi": (("cyndilib",), "send NDI"),
}
"""By extra: what it brings, and what that is for."""
CAMERAS = Path("/dev")
REINSTALL = "install it again: pip install --force-reinstall"
ENOUGH_MEMORY = 2e9
ENOUGH_DISK = 1e9
LARGE_DISK = 6e9
"""What the weights of a large model take, about."""


@dataclass(frozen=True)
class Check:
    name: str
    state: Literal["works", "note", "fails"]
    found: str
    advice: str = ""


def checks(load: Load, libraries: Sequence[str] = LIBRARIES) -> list[Check]:
    """All of them; `load` loads nano, which is run on two frames."""
    found = [
        Check("python", "works", f"{platform.python_version()} on {platform.platform()}"),
        *(library(name) for name in libraries),
    ]
    if any(check.state == "fails" for check in found):
        return found  # all the others need these
    return [
        *found,
        device(),
        *(codec(name, use) for name, use in CODECS.items()),
        openvino(),
        *(extra(name, libraries, use) for name, (libraries, use) in EXTRAS.items()),
        camera(CAMERAS),
        optical_flow(),
        memory(_free_memory()),
        disk(shutil.disk_usage(Path.cwd()).free),
        *(weights(one) for one in zoo.MODELS.values() if isinstance(one.weights, zoo.Remote)),
        nano(load),
    ]


def nano_works(found: Sequence[Check]) -> bool:
    return any(check.name == "nano" and check.state == "works" for check in found)


def library(name: str) -> Check:
    def load() -> str:
        import_module(MODULES.get(name, name))
        return versions([name])[name] or "of unknown version"

    return probe(name, load, f"install it: pip install --force-reinstall {name}")


def device() -> Check:
    import torch

    if torch.cuda.is_available():  # pragma: no cover - cuda
        properties = torch.cuda.get_device_properties(0)
        return Check("device", "works", f"{properties.name}, {_size(properties.total_memory)}")
    if torch.backends.mps.is_available():  # pragma: no cover - mps
        return Check("device", "works", "Apple GPU (mps)")
    advice = "nano runs well; a large model wants a GPU with CUDA"
    if torch.version.cuda is not None:  # pragma: no cover - cuda
        advice += ", for which torch finds no driver: does nvidia-smi list it?"
    return Check("device", "note", f"no GPU, {os.cpu_count()} CPU cores", advice)


def codec(name: str, use: str) -> Check:
    def encode_one() -> str:
        _encode_one(name)
        return f"can {use}"

    return probe(name, encode_one, f"sidestream cannot {use}; {REINSTALL} av")


def openvino() -> Check:
    """What --compile uses on a CPU."""
    found = versions(["openvino"])["openvino"]
    if found is None:
        advice = "for a faster --compile where there is no GPU: pip install openvino"
        return Check("openvino", "note", "not installed", advice)
    return Check("openvino", "works", found)


def extra(name: str, libraries: Sequence[str], use: str) -> Check:
    """Of what is live, all that has not to be there."""
    if missing := [one for one in libraries if find_spec(one) is None]:
        found = f"not installed: {', '.join(missing)}"
        return Check(name, "note", found, f"to {use}: pip install 'sidestream[{name}]'")
    return Check(name, "works", f"can {use}")


def camera(devices: Path) -> Check:
    """Whether there is one for `live camera`, without turning it on; those of a page are its browser's."""
    if platform.system() != "Linux":
        return Check("camera", "note", "not looked for on this system")
    found = sorted(path.name for path in devices.glob("video*"))
    if not found:
        return Check("camera", "note", "none", "for `live camera`, connect one; a page has its own")
    return Check("camera", "works", ", ".join(found))


def optical_flow() -> Check:
    def estimate() -> str:
        import numpy as np

        from sidestream.flow import dis

        grey = np.zeros((64, 64), np.uint8)
        dis(grey, grey)
        return "DIS"

    return probe("optical flow", estimate, f"{REINSTALL} opencv-python-headless")


def nano(load: Load) -> Check:
    def run() -> str:
        import numpy as np

        frames = [np.full((64, 64, 3), level, np.uint8) for level in (64, 128)]
        with (
            load("nano", ModelConfig()) as stylizer,
            stylizer.open("a test", size=Size(64, 64)) as opened,
        ):
            return f"restyled {sum(1 for _ in opened.run(frames))} frames"

    return probe(
        "nano", run, "see the checks above; where they do not explain it, please report it"
    )


def probe(name: str, attempt: Callable[[], str], advice: str) -> Check:
    """What an attempt finds, or how it fails: an environment can be broken in any of these ways."""
    try:
        return Check(name, "works", attempt())
    except (
        SidestreamError,
        AttributeError,
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        return Check(name, "fails", f"{type(error).__name__}: {error}", advice)


def memory(free: int | None) -> Check:
    if free is None:
        return Check("memory", "note", "this system does not tell how much is free")
    advice = "" if free >= ENOUGH_MEMORY else "close other programs, or use a smaller --size"
    return Check("memory", "note" if advice else "works", f"{_size(free)} free", advice)


def disk(free: int) -> Check:
    advice = "" if free >= ENOUGH_DISK else "make room for what will be written here"
    return Check("disk", "note" if advice else "works", f"{_size(free)} free here", advice)


def weights(entry: zoo.Entry) -> Check:
    if components.is_here(entry):
        return Check(entry.name, "works", "on this machine")
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    place = next(path for path in (cache, *cache.parents) if path.is_dir())
    advice = (
        f"the first use downloads about {_size(LARGE_DISK)} to {cache}, where {_size(shutil.disk_usage(place).free)}"
        f" are free (HF_HOME names another place); licence {entry.licence.name}"
    )
    return Check(entry.name, "note", "not on this machine", advice)


def _encode_one(name: str) -> None:
    """One picture, or a moment of silence."""
    from av import AudioCodecContext, AudioFrame, CodecContext, VideoCodecContext, VideoFrame

    codec = CodecContext.create(name, "w")
    if isinstance(codec, VideoCodecContext):
        codec.width = codec.height = 64
        codec.pix_fmt = "rgb8" if name == "gif" else "yuv420p"
        codec.time_base = Fraction(1, 25)
        codec.encode(VideoFrame(64, 64, codec.pix_fmt))
        return
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.layout = 48000, "stereo"
    codec.format = "fltp" if name == "aac" else "flt"
    codec.open()
    silence = AudioFrame(codec.format.name, "stereo", codec.frame_size)
    silence.sample_rate = codec.sample_rate
    codec.encode(silence)


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # pragma: no cover - not on Linux
        return None


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
