"""What every command takes: flags are generated from these dataclasses. Imports no heavy library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from tyro.conf import DisallowNone, Positional, arg, subcommand

from sidestream.config import (
    ModelConfig,
    Size,
    StreamConfig,
    TrainConfig,
    check_size,
    within,
)
from sidestream.config_live import LiveConfig, ServerConfig, ShowConfig
from sidestream.errors import ConfigError
from sidestream.recipe import Again, FileOptions

In = Annotated[Positional[str], arg(metavar="IN")]
Out = Annotated[Positional[str], arg(metavar="OUT")]
File = Annotated[DisallowNone[Path | None], arg(metavar="FILE")]
Folder = Annotated[DisallowNone[Path | None], arg(metavar="FOLDER")]
Text = Annotated[str, arg(metavar="TEXT")]


@dataclass(frozen=True, kw_only=True)
class Command:
    json: File = None
    """Write a machine-readable report to this file; - is the standard output."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What else the command reads or writes, which the report must not replace."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Demo(Command):
    """Restyle a short sample clip, and put the result beside the input."""

    prompt: Text = "turn this into a watercolor painting"
    """How the picture should look."""
    seconds: float = 4.0
    """How much of the clip to take."""
    size: Size = Size(256, 160)
    """Working size WxH, multiples of 32."""
    output_dir: Path = Path("out")
    """Folder for the two files."""

    def __post_init__(self) -> None:
        within(0.1, 60, seconds=self.seconds)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.output_dir,)


@dataclass(frozen=True, kw_only=True)
class Stylize(Command):
    """Restyle a video: a file, an animated GIF, a folder of pictures or a pattern such as img_%04d.png."""

    source: In
    """What is restyled."""
    target: Out
    """.mp4, .mov, .mkv, .webm, .gif, or a folder (ending in /) for PNG files."""
    prompt: Text = ""
    """How the picture should look."""
    cues: File = None
    """A file of prompts with their times, in place of a prompt; a line is TIME PROMPT, such as 0:04 [fade 1.5] turn this into a watercolor."""
    like: File = None
    """A file that sidestream wrote: take its prompt, seed, model by name and settings; flags that are given win."""
    point: Annotated[str, arg(metavar="NAME")] = "default"
    """Operating point: default, paper, low_latency or quality; flags that are given win."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name."""
    file: FileOptions = FileOptions()
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()

    @property
    def files(self) -> tuple[Path, ...]:
        given = (self.source, self.target, self.cues, self.like, self.loading.adapter)
        target = Path(self.target)
        beside = (Path(f"{target}.json"), target / "settings.json")
        return (*(Path(one) for one in given if one), *beside)


@dataclass(frozen=True, kw_only=True)
class Live(Command):
    """Restyle video while it happens, from a camera, a stream, the screen or a file, to a file, a server or a page."""

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """camera, camera:N, screen, pattern, pattern:WxH, a URL (rtsp, rtmp, http, https, srt), or a file, played at its own pace."""
    sink: Annotated[Positional[str], arg(metavar="SINK")]
    """A file (.mp4, .mov, .mkv), page or page:PORT for a page on this machine, a URL to push to (rtmp, rtsp), virtualcam, ndi or ndi:NAME, or none."""
    also: Annotated[tuple[str, ...], arg(metavar="SINK")] = ()
    """More sinks at the same time."""
    prompt: Text = ""
    """How the picture should look. On a terminal, a line that is typed is a new prompt."""
    cues: File = None
    """A file of prompts with their times, in place of a prompt; as for stylize."""
    take: Folder = None
    """Record source and changes of controls in this new folder, for `sidestream render`."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name."""
    overwrite: bool = False
    """Replace an existing output."""
    show: ShowConfig = ShowConfig()
    studio: LiveConfig = LiveConfig()
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()

    def __post_init__(self) -> None:
        _check_live(self.stream)

    @property
    def files(self) -> tuple[Path, ...]:
        given = (self.source, self.sink, *self.also, self.cues, self.take, self.loading.adapter)
        return tuple(Path(one) for one in given if one and "://" not in str(one))


@dataclass(frozen=True, kw_only=True)
class Render(Command):
    """Make the performance of a take again, from its source and its changes of controls; the same every time."""

    take: Annotated[Positional[str], arg(metavar="TAKE")]
    """A folder that `live --take` wrote."""
    target: Out
    """.mp4, .mov, .mkv, .webm, .gif, or a folder (ending in /) for PNG files."""
    again: Again = Again()
    file: FileOptions = FileOptions()

    @property
    def files(self) -> tuple[Path, ...]:
        target = Path(self.target)
        return (Path(self.take), target, Path(f"{target}.json"), target / "settings.json")


@dataclass(frozen=True, kw_only=True)
class Models(Command):
    """List the models by name, their licences, and which are on this machine."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Check what works on this machine, and say what to do where something does not."""


@dataclass(frozen=True, kw_only=True)
class Metrics(Command):
    """Measure how steady and how sharp a restyled video is."""

    source: In
    """The video that was restyled."""
    target: Out
    """The result."""

    @property
    def files(self) -> tuple[Path, ...]:
        return Path(self.source), Path(self.target)


@dataclass(frozen=True, kw_only=True)
class Eval(Command):
    """Measure how well a small model restyles video that it has not seen, and write a report."""

    what: Positional[Literal["nano"]]
    """What is measured: nano, or --model in its place."""
    clips: Folder = None
    """A folder of video clips; one whose name begins with cut_ has a scene cut. Default: clips that are rendered."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, or a folder in diffusers layout."""
    adapter: str = "default"
    """Temporal adapter: default (the model's own) or a .safetensors file."""
    frames: int = 24
    """Frames taken of each clip."""
    quick: bool = False
    """At most 8 frames of each clip, and of what is steady the essentials."""
    size: Size = Size(256, 256)
    """Working size WxH, multiples of 32."""
    output_dir: Path = Path("out/eval-nano")
    """Folder for the records, the report and the pictures."""

    def __post_init__(self) -> None:
        within(2, 240, frames=self.frames)
        check_size(self.size)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.output_dir,)


@dataclass(frozen=True, kw_only=True)
class Bench(Command):
    """Measure how fast a model restyles on this machine, on frames made here; writes records, a report and charts."""

    what: Positional[Literal["baseline", "sustained", "profile", "scaling", "refresh", "memory"]]
    """baseline: beside the paper's loop, re-created, and diffusers' pipeline, in turns. sustained: a long run, how even it is and how late. profile: time and work of every stage, by what the machine can do. scaling: batches, streams, steps, sizes. refresh: how often text and conditioning are made anew. memory: what is taken, and whether it grows."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name; twin has the released sizes and random weights."""
    frames: DisallowNone[int | None] = None
    """Frames of each run that is measured. Default: what the measurement needs, fewer with --quick."""
    rounds: int = 5
    """How often the loops take turns in baseline; with --quick at most 2."""
    rate: DisallowNone[float | None] = None
    """In sustained, frames a second that come in, as from a camera; latency is then from when each was due. Default: as fast as they are taken."""
    file_to_file: bool = False
    """In baseline, from file to file in place of from memory to memory."""
    quick: bool = False
    """A look of about a minute on two cores: fewer frames and fewer rows."""
    output_dir: Path = Path("out/bench")
    """Folder for the records, the report and the charts."""
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()

    def __post_init__(self) -> None:
        within(1, 100, rounds=self.rounds)
        if self.rate is not None:
            within(0.1, 1000, rate=self.rate)
        if self.frames is not None:
            within(1, 1_000_000, frames=self.frames)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.output_dir,)


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Train nano, or a temporal adapter for it, from pictures that are rendered first. What is stopped can be gone on with."""

    what: Positional[Literal["nano", "adapter", "lllite"]]
    """nano: autoencoder, encoder and denoiser. adapter: what keeps its videos steady. lllite: the paper's kind of adapter."""
    model: Annotated[str | None, arg(metavar="NAME")] = None
    """What to go on from: nano, or a folder that `train nano` wrote. Left out: nano from nothing, an adapter for nano."""
    training: TrainConfig = TrainConfig()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.training.folder,)


@dataclass(frozen=True, kw_only=True)
class Serve(Command):
    """Serve a page that restyles cameras, for several people at once; needs pip install sidestream[server]."""

    prompt: Text = "turn this into a watercolor painting"
    """How the picture should look, until somebody says otherwise."""
    model: Annotated[str, arg(metavar="NAME")] = "nano"
    """A name from `sidestream models`, a folder in diffusers layout, or a hub id owner/name."""
    server: ServerConfig = ServerConfig()
    studio: LiveConfig = LiveConfig()
    stream: StreamConfig = StreamConfig()
    loading: ModelConfig = ModelConfig()

    def __post_init__(self) -> None:
        _check_live(self.stream)


def _check_live(stream: StreamConfig) -> None:
    if stream.batch is not None:
        raise ConfigError(
            f"batch ({stream.batch}) is for files: live video takes whatever frames are there,"
            " up to --largest-batch"
        )


COMMANDS = cast(
    type[Command],
    Annotated[Demo, subcommand("demo")]
    | Annotated[Stylize, subcommand("stylize")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Live, subcommand("live")]
    | Annotated[Render, subcommand("render")]
    | Annotated[Models, subcommand("models")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Metrics, subcommand("metrics")]
    | Annotated[Eval, subcommand("eval")]
    | Annotated[Bench, subcommand("bench")]
    | Annotated[Train, subcommand("train")],
)
