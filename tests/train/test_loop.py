"""The training loop: what it saves, resumes, averages and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sidestream.errors import ModelError, SinkError
from sidestream.train.loop import CHECKPOINT, LOG, Loop, Regimen

REGIMEN = Regimen(steps=6, rate=0.02, rest_rate=0.01, warmup=2, log_every=4)


def network(dtype: torch.dtype = torch.float32, wide: int = 12) -> nn.Module:
    """With weights for Muon (matrices) and for AdamW (the rest)."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, wide), nn.LayerNorm(wide), nn.Linear(wide, 12)).to(dtype)


def mirror(module: nn.Module, fail_at: int | None = None):
    """To learn: a row of numbers backwards."""

    def loss(step: int):
        given = torch.randn(8, 12, generator=torch.Generator().manual_seed(step))
        answer = module(given.to(next(module.parameters()).dtype)).float()
        value = (answer - given.flip(1)).square().mean()
        return value * (torch.nan if step == fail_at else 1), {"number": float(step)}

    return loss


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().float().flatten() for weight in module.parameters()])


def after(steps: int, loop: Loop):
    return lambda: loop.step >= steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, dtype: torch.dtype):
    whole = network(dtype)
    assert Loop({"net": whole}, REGIMEN, tmp_path / "whole").run(mirror(whole))
    begun = network(dtype)
    loop = Loop({"net": begun}, REGIMEN, tmp_path / "parts")
    assert not loop.run(mirror(begun), stop=after(3, loop))
    rest = network(dtype)
    loop = Loop({"net": rest}, REGIMEN, tmp_path / "parts")
    assert loop.resume()
    assert loop.step == 3
    assert loop.run(mirror(rest))
    assert torch.equal(weights(rest), weights(whole))
    files = [(tmp_path / name / CHECKPOINT).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_it_learns(tmp_path: Path):
    module = network()
    loss = mirror(module)
    before = float(loss(99)[0].detach())
    Loop({"net": module}, replace(REGIMEN, steps=60), tmp_path).run(loss)
    assert float(loss(99)[0].detach()) < before / 2


def test_there_is_nothing_to_resume_in_a_new_folder(tmp_path: Path):
    assert not Loop({"net": network()}, REGIMEN, tmp_path).resume()


def test_a_save_that_fails_leaves_the_checkpoint_before(tmp_path: Path):
    module = network()
    loop = Loop({"net": module}, REGIMEN, tmp_path)
    loop.run(mirror(module), stop=after(2, loop))
    (tmp_path / f"{CHECKPOINT}.part").mkdir()
    with pytest.raises(SinkError, match="could not be written"):
        loop.run(mirror(module))
    again = Loop({"net": network()}, REGIMEN, tmp_path)
    assert again.resume()
    assert again.step == 2


def test_a_checkpoint_is_saved_now_and_then(tmp_path: Path):
    module = network()
    loop = Loop({"net": module}, replace(REGIMEN, save_seconds=-1), tmp_path)
    with pytest.raises(ModelError):
        loop.run(mirror(module, fail_at=3))
    again = Loop({"net": network()}, REGIMEN, tmp_path)
    assert again.resume()
    assert again.step == 3


@pytest.mark.parametrize("other", [network(wide=16), nn.Sequential(nn.LayerNorm(12))])
def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path, other: nn.Module):
    tmp_path.joinpath("run").mkdir()
    Loop({"net": other}, REGIMEN, tmp_path).save()
    with pytest.raises(ModelError, match="of another model"):
        Loop({"net": network()}, REGIMEN, tmp_path).resume()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / CHECKPOINT).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="damaged"):
        Loop({"net": network()}, REGIMEN, tmp_path).resume()


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path):
    module = network()
    with pytest.raises(ModelError, match=r"went wrong at step 2 .*loss nan.*float32"):
        Loop({"net": module}, REGIMEN, tmp_path).run(mirror(module, fail_at=2))


def test_a_gradient_that_is_no_number_ends_the_run_before_it_spoils_a_weight(tmp_path: Path):
    module = network()
    before = weights(module)

    def loss(step: int):
        return (0 * weight_sum(module)).sqrt(), {}

    with pytest.raises(ModelError, match="gradient nan"):
        Loop({"net": module}, REGIMEN, tmp_path).run(loss)
    assert torch.equal(weights(module), before)


def weight_sum(module: nn.Module) -> torch.Tensor:
    return torch.stack([weight.abs().sum() for weight in module.parameters()]).sum()


def test_the_average_lies_between_start_and_end(tmp_path: Path):
    module = network()
    start = weights(module)
    loop = Loop({"net": module}, replace(REGIMEN, steps=1, warmup=1), tmp_path)
    loop.run(mirror(module))
    end = weights(module)
    loop.use_average()
    assert not torch.equal(end, start)
    assert torch.allclose(weights(module), start.lerp(end, 0.9), atol=1e-6)


def test_weights_that_are_not_trained_stay(tmp_path: Path):
    module = network()
    module[2].requires_grad_(False)
    frozen, moving = module[2].weight.clone(), module[0].weight.detach().clone()
    Loop({"net": module}, REGIMEN, tmp_path).run(mirror(module))
    assert torch.equal(module[2].weight, frozen)
    assert not torch.equal(module[0].weight, moving)


def test_a_weight_without_a_gradient_stays(tmp_path: Path):
    module, idle = network(), network()
    before = weights(idle)
    Loop({"net": module, "idle": idle}, REGIMEN, tmp_path).run(mirror(module))
    assert torch.equal(weights(idle), before)


def test_a_later_loop_begins_with_the_averages_of_the_one_before(tmp_path: Path):
    module = network()
    first = Loop({"net": module}, REGIMEN, tmp_path / "first")
    first.run(mirror(module))
    first.use_average()
    averaged = weights(module)
    second = Loop({"net": module}, replace(REGIMEN, steps=0), tmp_path / "second")
    first.run(mirror(module))  # finished: it only puts its own weights aside
    second.begin_with({**first.average, "other.weight": torch.zeros(1)})
    assert torch.equal(weights(module), averaged)
    second.use_average()
    assert torch.equal(weights(module), averaged)


def test_figures_are_means_over_the_steps_since_the_last(tmp_path: Path):
    module = network()
    told: list[tuple[int, int, float]] = []
    Loop({"net": module}, REGIMEN, tmp_path).run(
        mirror(module),
        progress=lambda done, total, figures: told.append((done, total, figures["number"])),
    )
    assert told == [(4, 6, 1.5), (6, 6, 4.5)]
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [(row["step"], set(row)) for row in rows] == [
        (4, {"step", "loss", "number"}),
        (6, {"step", "loss", "number"}),
    ]


def test_the_rate_rises_and_falls():
    regimen = Regimen(steps=100, rate=1, warmup=10)
    shares = [regimen.share_at(step) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[10] == max(shares) == 1
    assert shares[100] == pytest.approx(0.02)
    assert shares[:11] == sorted(shares[:11])
    assert shares[10:] == sorted(shares[10:], reverse=True)
