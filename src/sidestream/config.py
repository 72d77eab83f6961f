"""Every setting, its default, its bounds, and the named operating points. Imports neither torch nor any codec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sidestream.errors import ConfigError

SECTIONS = ("down_blocks", "mid_block", "up_blocks")
SIZE_MULTIPLE = 32
BATCH_SIZES = (1, 2, 4, 8, 16)

Fit = Literal["crop", "pad", "stretch", "square"]
FlowName = Literal["dis", "farneback", "dense"]


def at_least(low: int, **values: int) -> None:
    for name, value in values.items():
        if value < low:
            raise ConfigError(f"{name} must be {low} or more, got {value}")


def within(low: float, high: float, **values: float) -> None:
    for name, value in values.items():
        if not low <= value <= high:
            raise ConfigError(f"{name} must be from {low} to {high}, got {value}")


def either(known: Iterable[object]) -> str:
    """What there is to choose from, in words."""
    *others, last = map(str, known)
    return f"{', '.join(others)} or {last}" if others else last


def seconds(name: str, value: float) -> None:
    if not 0 < value <= 86_400:
        raise ConfigError(f"{name} must be above 0 and at most a day, in seconds, got {value}")


@dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels. Written `WxH`."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Size:
        width, _, height = text.lower().partition("x")
        try:
            return cls(int(width), int(height))
        except ValueError:
            raise ConfigError(f"size must look like 512x288, got {text!r}") from None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what is accepted from outside; beyond one, the input is refused in one sentence."""

    prompt_characters: int = 400
    prompt_tokens: int = 128
    prompts_at_once: int = 4
    fade_seconds: float = 60.0
    """In which a prompt that is asked for may take over, at most."""
    min_source_pixels: int = 16
    """A picture smaller than this many pixels on a side is refused."""
    max_source_pixels: int = 4096 * 4096
    """Checked before a frame is decoded, and for every frame, because the size may change mid-stream."""
    max_source_seconds: float | None = None
    max_size: int = 2048
    """Largest working width or height."""
    max_steps: int = 8
    max_streams: int = 16
    """Streams that may be open on one model."""
    open_timeout: float = 5.0
    read_timeout: float = 10.0
    max_streams_in_file: int = 64
    max_cues: int = 10_000
    max_cue_file_bytes: int = 1_000_000
    max_sidecar_bytes: int = 1_000_000
    """Settings stored with a file, beside it or inside."""
    min_free_bytes: int = 16_000_000
    """Writing stops cleanly when the disk has less room than this."""
    max_safetensors_header: int = 10_000_000


LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When text and conditioning are computed anew. Ages count frames of the stream."""

    text_every: int = 1
    """Encode the instruction anew at least every N frames."""
    text_first_frame_only: bool = False
    """When the text is due, encode only the first frame of the batch and share the result."""
    cond_every: int = 1
    """Rebuild the adapter's conditioning at least every N frames."""
    motion_budget: float | None = None
    """Refresh as soon as this much motion (in frame widths) has passed; the two intervals then only bound the age. None: fixed intervals."""
    cut_threshold: float | None = 0.35
    """Scene cut when this share of the picture cannot be explained by the frame before. None: cuts are not looked for."""

    def __post_init__(self) -> None:
        at_least(1, text_every=self.text_every, cond_every=self.cond_every)
        if self.motion_budget is not None and not self.motion_budget > 0:
            raise ConfigError(f"motion_budget must be above 0, got {self.motion_budget}")
        if self.cut_threshold is not None and not 0 < self.cut_threshold <= 1:
            raise ConfigError(f"cut_threshold must be in (0, 1], got {self.cut_threshold}")


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How a stream is restyled. The defaults are the operating point `default`."""

    size: Size | None = None
    """Working size WxH, multiples of 32. Default: the source's aspect at the model's pixel budget."""
    fit: Fit = "crop"
    """How a picture of another shape is brought to the working size."""
    steps: int = 1
    """Denoising steps K, 1 to 8."""
    seed: int = 42
    """Seed of the noise."""
    strength: float = 1.0
    """0 shows the input, 1 the restyled picture."""
    stability: float = 1.0
    """How strongly the temporal adapter holds on to the last output, 0 to 1."""
    batch: int | None = None
    """Frames per batch: 1, 2, 4, 8 or 16. Default: 8. Not for live video, which takes whatever frames are there."""
    schedule: Schedule = field(default_factory=Schedule)
    flow: FlowName = "dis"
    """Optical flow: dis (chained, with occlusion), dense (likewise, on the device: for a GPU, slow on a CPU) or farneback (the paper's, direct across the gap)."""
    fixed_noise: bool = False
    """The same noise for every frame."""
    blend: float = 0.0
    """Weight of the warped previous output in each frame, 0 (off) to 0.95."""

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size(self.size)
        within(1, LIMITS.max_steps, steps=self.steps)
        within(0, 2**63 - 1, seed=self.seed)
        within(0.0, 1.0, strength=self.strength, stability=self.stability)
        within(0.0, 0.95, blend=self.blend)
        if self.batch is not None and self.batch not in BATCH_SIZES:
            raise ConfigError(f"batch must be {either(BATCH_SIZES)}, got {self.batch}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """How a model is loaded; fixed while it runs."""

    adapter: str = "default"
    """Temporal adapter: none, default (the model's own, none where it has none) or a .safetensors file."""
    hooks: tuple[str, ...] = ("down_blocks",)
    """Sections of the U-Net that carry the adapter."""
    vision_size: int | None = None
    """Side of the picture that the encoder looks at, a multiple of 32. Default: the model's own."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights. auto: bfloat16 on a GPU and on a CPU that computes in it, float32 elsewhere."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    compile: bool = False
    """Compile the model, so that it runs faster: takes seconds for every new size, or minutes on a CPU without OpenVINO (pip install openvino)."""
    int8: bool = False
    """Multiply in 8-bit integers in the denoiser, with compile, on a CPU that has instructions for it: faster. Pictures differ a little, with nano by a PSNR of about 41 dB."""
    fp8: bool = False
    """Multiply in 8-bit floats in the encoder and the denoiser: for speed and memory on GPUs of the Hopper generation. Pictures differ a little, with nano by a PSNR of about 42 dB; a CPU only emulates it, slowly."""
    capture: bool = True
    """Record the model's work as CUDA graphs and replay them: fewer launches, some more memory. CUDA only."""
    revision: str | None = None
    """Revision of a hub repository."""
    flow_threads: int = 2
    """Threads that compute flow ahead of need."""
    offline: bool = False
    """Use only weights that are already on this machine."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.hooks if name not in SECTIONS]
        if unknown or not self.hooks:
            raise ConfigError(
                f"hooks must be among {either(SECTIONS)}, got {', '.join(self.hooks) or 'none'}"
            )
        side = self.vision_size
        if side is not None and (side % 32 or not 32 <= side <= 1024):
            raise ConfigError(f"vision_size must be a multiple of 32 from 32 to 1024, got {side}")
        within(1, 64, flow_threads=self.flow_threads)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How nano is trained. How the weights in the package were made is in docs/lab-notes.md."""

    folder: Path = Path("out/train")
    """Folder for pictures, checkpoints and the model."""
    pictures: int = 6000
    """Pictures to render, and a quarter as many wide ones."""
    clips: int = 500
    """Clips to render for the adapter."""
    autoencoder_steps: int = 7000
    steps: int = 7400
    """Of the encoder and denoiser."""
    adapter_steps: int = 600
    """Of the adapter behind the decoder."""
    lllite_steps: int = 1500
    """Of one inside the denoiser, every other one on pictures without it, so that the denoiser stays what it is."""
    immiscible: bool = False
    """Give each painting of a batch the noise nearest to it."""
    seed: int = 0
    workers: int = 2
    """Processes that render pictures."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Number format of the forward and backward passes; weights are kept in float32."""

    def __post_init__(self) -> None:
        at_least(8, pictures=self.pictures)
        at_least(
            1,
            clips=self.clips,
            autoencoder_steps=self.autoencoder_steps,
            steps=self.steps,
            adapter_steps=self.adapter_steps,
            lllite_steps=self.lllite_steps,
            workers=self.workers,
        )
        within(0, 2**31, seed=self.seed)


OPERATING_POINTS: Mapping[str, StreamConfig] = {
    "default": StreamConfig(),
    # For comparison with the paper: what its public code runs at, the centre square included.
    "paper": StreamConfig(
        batch=8,
        fit="square",
        flow="farneback",
        schedule=Schedule(cond_every=64, cut_threshold=None),
    ),
    "low_latency": StreamConfig(batch=1),
    "quality": StreamConfig(steps=4),
}


def operating_point(name: str, **changes: object) -> StreamConfig:
    if name not in OPERATING_POINTS:
        raise ConfigError(f"operating point must be {either(OPERATING_POINTS)}, got {name!r}")
    return replace(OPERATING_POINTS[name], **changes)  # type: ignore[arg-type]


def check_size(size: Size) -> Size:
    """Refuses a size that the model cannot work at, naming the two nearest that it can."""
    for name, value in (("width", size.width), ("height", size.height)):
        if value % SIZE_MULTIPLE or not SIZE_MULTIPLE <= value <= LIMITS.max_size:
            below = value // SIZE_MULTIPLE * SIZE_MULTIPLE
            nearest = sorted(
                {
                    min(max(near, SIZE_MULTIPLE), LIMITS.max_size)
                    for near in (below, below + SIZE_MULTIPLE)
                }
            )
            raise ConfigError(
                f"{name} must be a multiple of {SIZE_MULTIPLE} from {SIZE_MULTIPLE} to {LIMITS.max_size}, "
                f"got {value}: use {' or '.join(map(str, nearest))}"
            )
    return size
