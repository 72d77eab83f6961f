"""Where the time goes: every stage alone, its work counted, beside what the machine could do it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from sidestream.batching import consecutive
from sidestream.bench import machine
from sidestream.bench.bench import WARM_BATCHES, Bench, measured, record
from sidestream.bench.charts import bars
from sidestream.bench.footage import PROMPT, footage
from sidestream.bench.machine import Machine
from sidestream.bench.work import Work, WorkSpans
from sidestream.config import StreamConfig
from sidestream.prepare import Preparer
from sidestream.render import Renderer
from sidestream.stylizer import OpenStream, Stylizer
from sidestream.timing import Span, Spans
from sidestream.types import Pixels, Record

STAGES, LOOP, MACHINE = "profile stages", "profile loop", "profile machine"


def run(bench: Bench) -> Iterator[Record]:
    config = bench.config()
    counted = work_of_stages(bench, config)
    with bench.loaded() as stylizer:
        device, dtype = stylizer.built.device, stylizer.built.model.dtype
        able = machine.measured(device, dtype)
        yield record(stylizer, MACHINE, str(dtype).removeprefix("torch."), _in_giga(able), config)
        times = time_of_stages(stylizer, config, bench.frames)
        for stage, span in times.items():
            metrics = of_stage(span, counted.get(stage, Work()), able)
            yield record(stylizer, STAGES, stage, metrics, config)
        fps = measured(stylizer, config, bench.frames).report.fps
        yield record(
            stylizer, LOOP, "whole loop", of_loop(fps, bench.batch, times, counted, able), config
        )


def of_stage(span: Span, work: Work, able: Machine) -> dict[str, float]:
    """Of one batch. The bound counts arithmetic and constants, which no way of computing is spared."""
    seconds = span.seconds / span.count
    bound = able.bound_seconds(work.flops, work.constant_bytes)
    return {
        "ms": 1000 * seconds,
        "bound_ms": 1000 * bound,
        "of_bound": bound / seconds,
        "gflop": work.flops / 1e9,
        "gflops": work.flops / seconds / 1e9,
        "constant_mb": work.constant_bytes / 1e6,
        "activation_mb": work.activation_bytes / 1e6,
        "operations": work.operations,
        "waits": work.waits,
    }


def of_loop(
    fps: float, batch: int, times: Mapping[str, Span], counted: Mapping[str, Work], able: Machine
) -> dict[str, float]:
    """The loop as it runs, lanes side by side, beside the stages one after the other and their bounds."""
    alone = sum(span.seconds / span.count for span in times.values())
    bound = sum(able.bound_seconds(one.flops, one.constant_bytes) for one in counted.values())
    return {
        "fps": fps,
        "fps_stages_in_turn": batch / alone,
        "fps_bound": batch / bound,
        "of_bound": fps * bound / batch,
        "gflop_per_frame": sum(one.flops for one in counted.values()) / batch / 1e9,
        "operations_per_frame": sum(one.operations for one in counted.values()) / batch,
        "waits_per_frame": sum(one.waits for one in counted.values()) / batch,
    }


def work_of_stages(bench: Bench, config: StreamConfig) -> dict[str, Work]:
    """Of one batch in the middle of a stream. Counted uncompiled: what is compiled cannot be looked into."""
    with (
        bench.loaded(compile=False, int8=False) as stylizer,
        stylizer.open(PROMPT, config) as opened,
    ):
        _in_turn(stylizer, opened, WARM_BATCHES * bench.batch, Spans())
        counting = WorkSpans()
        _in_turn(stylizer, opened, bench.batch, counting)
    return counting.work


def time_of_stages(stylizer: Stylizer, config: StreamConfig, frames: int) -> dict[str, Span]:
    assert config.batch is not None
    device = stylizer.built.device
    with stylizer.open(PROMPT, config) as opened:
        _in_turn(stylizer, opened, WARM_BATCHES * config.batch, Spans(device))
        spans = Spans(device)
        _in_turn(stylizer, opened, -(-frames // config.batch) * config.batch, spans)
    return spans.sums()


@torch.inference_mode()
def _in_turn(stylizer: Stylizer, opened: OpenStream, frames: int, spans: Spans) -> None:
    """The work of all lanes in this thread, one stage after the other, so that none slows another down."""
    built, config = stylizer.built, opened.stream.config
    assert config.size is not None and config.batch is not None
    lanes = built.lanes
    prepare = Preparer(built.model, built.device, built.model.dtype, spans, lanes.side)
    render = Renderer(
        built.model, built.engine.adapter, built.device, spans, built.engine.detail, lanes.main
    )
    pictures = opened.frames(footage(config.size, frames))
    for batch in consecutive(pictures, opened.stream, config.batch, stylizer.fit):
        with spans("flow", host=True):
            observed = built.engine.observe(batch)
        list(render.deliver(render(prepare(observed))))


def charts(records: Sequence[Record]) -> Mapping[str, Pixels]:
    stages = [one for one in records if one.table == STAGES]
    if not stages:
        return {}
    model, stream = stages[0].config["model"], stages[0].config["stream"]
    groups = {
        one.row: {"measured": one.metrics["ms"], "bound": one.metrics["bound_ms"]} for one in stages
    }
    title = f"{model}, {stream['size']}: a batch of {stream['batch']}, stage by stage"
    return {"stages": bars(title, "ms", groups)}


def _in_giga(able: Machine) -> dict[str, float]:
    return {"matrix_gflops": able.matrix_flops / 1e9, "bandwidth_gb_s": able.bandwidth / 1e9}
