"""The whole loop on graphs gives the pixels that it gives without, through all that changes while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
import torch

import lively
from pictures import sliding
from sidestream import Stylizer
from sidestream.config import Schedule, Size
from sidestream.models.compile import Background, CompiledBehind, compiled
from sidestream.models.lanes import Lane, Lanes
from sidestream.types import Pixels, Styled
from tape import Reruns, Tapes


@dataclass(frozen=True)
class Taped:
    """Nano with and without graphs; both have the same weights."""

    plain: Stylizer
    taped: Stylizer
    side: Tapes = field(default_factory=Tapes)
    main: Tapes = field(default_factory=Tapes)

    def agree(self, run) -> None:
        """That one function of a stylizer gives the same both times, to a level: kernels may see other layouts."""
        plain, taped = (
            [styled.pixels.astype(int) for styled in run(one)] for one in (self.plain, self.taped)
        )
        assert len(plain) == len(taped)
        assert max(np.abs(a - b).max() for a, b in zip(plain, taped, strict=True)) <= 1
        assert np.std(plain[0]) > 8  # a picture at all


def taped(**how) -> Taped:
    side, main = Tapes(), Tapes()
    lanes = Lanes(Lane(graphs=side), Lane(graphs=main))
    return Taped(lively.load(**how), lively.load(**how, lanes=lanes), side, main)


@pytest.fixture(scope="module")
def inside() -> Taped:
    """With the adapter in the denoiser."""
    return taped()


@pytest.fixture(scope="module")
def behind() -> Taped:
    """With the one behind the decoder."""
    return taped(detail=True)


def pictures(stylizer: Stylizer, video: list[Pixels], **config) -> list[Styled]:
    with stylizer.open("ink", size="64x32", **config) as stream:
        return list(stream.run(video))


@pytest.mark.parametrize("flow", ["dis", "dense"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_video(inside, video, batch, flow):
    inside.agree(lambda one: pictures(one, video, batch=batch, flow=flow, steps=2))
    assert inside.side.replayed > 0 < inside.main.replayed


@pytest.mark.parametrize("batch", [1, 4])
def test_a_video_held_behind_the_decoder(behind, video, batch):
    behind.agree(lambda one: pictures(one, video, batch=batch, flow="dense", blend=0.3))


def test_everything_that_may_change_while_a_stream_runs(inside):
    changes = {
        4: {"strength": 0.3, "stability": 0.7, "seed": 9},
        8: {"prompt": "a watercolor painting of great beauty with many soft edges"},
        12: {"prompt": (("ink", 0.3), ("oil", 0.7))},
        20: {"prompt": (("ink", 0.6), ("oil", 0.4)), "stability": 0.2},
        24: {"steps": 2},
    }

    def run(one: Stylizer) -> list[Styled]:
        schedule = Schedule(text_every=3, cond_every=4)
        with one.open("ink", schedule=schedule, size="64x32", batch=2) as stream:

            def source() -> Iterator[Pixels]:
                for number, picture in enumerate([*sliding(16), *sliding(16, 7)]):
                    if number in changes:
                        stream.controls = replace(stream.controls, **changes[number])
                    yield picture

            return list(stream.run(source()))

    inside.agree(run)


def test_more_sizes_than_the_adapter_keeps_banks_for(inside, video):
    sizes = [Size(32 * across, 32) for across in (1, 2, 3, 4, 5, 6)] * 2

    def run(one: Stylizer) -> list[Styled]:
        with one.open("ink", batch=1) as stream:
            shown: list[Styled] = []
            for size in sizes:
                stream.controls = replace(stream.controls, size=size)
                shown += stream.run(video[:4])
        return shown

    inside.agree(run)


def test_streams_that_share_batches(inside, video):
    def run(one: Stylizer) -> list[Styled]:
        with (
            one.open("ink", size="64x32", flow="dense") as first,
            one.open("a watercolor", size="64x32", flow="dense") as second,
        ):
            return list(one.together([(first, video), (second, video[::-1])]))

    inside.agree(run)


def test_two_runs_at_once(inside, video):
    """As two threads may read two streams: neither finds the other's pictures."""
    alone = [pictures(inside.plain, one, batch=2) for one in (video, video[::-1])]
    apart = [np.stack([styled.pixels for styled in shown]).astype(int) for shown in alone]
    assert np.abs(apart[0] - apart[1]).mean() > 8
    made: dict[int, list[Styled]] = {}
    together = threading.Barrier(2)
    before = inside.side.replayed, inside.main.replayed

    def work(number: int, one: list[Pixels]) -> None:
        together.wait()
        made[number] = pictures(inside.taped, one, batch=2)

    threads = [
        threading.Thread(target=work, args=(number, one))
        for number, one in enumerate((video, video[::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made) == {0, 1}
    assert inside.side.replayed > before[0] and inside.main.replayed > before[1]
    for number, shown in enumerate(alone):
        for plain, taped in zip(shown, made[number], strict=True):
            assert np.abs(plain.pixels.astype(int) - taped.pixels).max() <= 1


def test_few_graphs_serve_a_long_video(video):
    steady = taped()
    for _ in range(2):
        pictures(steady.taped, video, batch=1, schedule=Schedule(cut_threshold=None))
    made = steady.side.made + steady.main.made
    pictures(steady.taped, video * 3, batch=1, schedule=Schedule(cut_threshold=None))
    assert steady.side.made + steady.main.made == made


def test_what_must_not_be_fused_is_captured_alone():
    asked: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, example: object):
        asked.append(graph)
        return graph.forward

    tapes = Reruns()
    lane = Lane(partial(compiled, backend=backend), graphs=tapes)
    plain, fused = lane.make(lambda x: x + 1, fuse=False), lane.make(lambda x: x + 2)
    with torch.inference_mode():
        for value in (0.0, 1.0, 2.0):
            assert plain(torch.full((3,), value)).tolist() == [value + 1] * 3
        assert (asked, tapes.made) == ([], 1)
        assert fused(torch.zeros(3)).tolist() == [2] * 3
    assert len(asked) == 1


def test_only_cuda_has_graphs():
    background = Background()
    lanes = Lanes.on(torch.device("cpu"), partial(compiled, backend="eager"), background=background)
    assert lanes.side.graphs is lanes.main.graphs is None
    assert lanes.side.background is lanes.main.background is background
    assert isinstance(lanes.side.make(torch.neg), CompiledBehind)
    assert lanes.main.make(torch.neg, fuse=False) is torch.neg
    lanes.close()
