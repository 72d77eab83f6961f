"""The loop that every training here runs in: float32 masters, a running average, checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import nn

from sidestream.errors import ModelError, SinkError
from sidestream.train.muon import Muon

Loss = Callable[[int], tuple[torch.Tensor, Mapping[str, float]]]
"""The loss of step n, and figures to show beside it. All that is random in it follows from n."""
Progress = Callable[[int, int, Mapping[str, float]], None]
Parts = Mapping[str, nn.Module]

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """How long and how fast."""

    steps: int
    rate: float
    """Of Muon, for weights that are matrices."""
    rest_rate: float = 1e-3
    """Of AdamW, for all other weights."""
    warmup: int = 50
    averaging: float = 0.999
    clip: float = 1.0
    save_seconds: float = 120.0
    log_every: int = 25

    def share_at(self, step: int) -> float:
        """Of the full rate: up in a straight line, then down along a half cosine to a fiftieth."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        gone = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, gone)))


class Loop:
    """Owns the masters, their average and the optimiser; the modules given hold the working weights."""

    def __init__(self, parts: Parts, regimen: Regimen, folder: Path) -> None:
        self.regimen, self.folder = regimen, folder
        self.step = 0
        self._working = {
            name: weight for name, weight in weights_of(parts).items() if weight.requires_grad
        }
        self._masters = {
            name: weight.detach().float().clone() for name, weight in self._working.items()
        }
        self._average = {name: weight.clone() for name, weight in self._masters.items()}
        matrices = {
            name: weight for name, weight in self._masters.items() if _is_matrix(name, weight)
        }
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(
            [weight for name, weight in self._masters.items() if name not in matrices],
            lr=regimen.rest_rate,
            betas=(0.9, 0.99),
            weight_decay=0.0,
            fused=True,
        )

    def run(
        self,
        loss: Loss,
        *,
        progress: Progress = lambda done, total, figures: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Trains to the last step; False when stopped before it. Either way all is saved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = time.monotonic()
        recent: list[Mapping[str, float]] = []
        while self.step < self.regimen.steps and not stop():
            recent.append(self._learn(loss))
            if self.step % self.regimen.log_every == 0 or self.step == self.regimen.steps:
                means = _means(recent)
                self._log(means)
                progress(self.step, self.regimen.steps, means)
                recent.clear()
            if time.monotonic() - saved > self.regimen.save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()
        return self.step >= self.regimen.steps

    @property
    def average(self) -> Mapping[str, torch.Tensor]:
        return self._average

    def begin_with(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Starts from these weights where they have the names of its own."""
        for name, master in self._masters.items():
            if name in weights:
                master.copy_(weights[name])
                self._average[name].copy_(master)
        self._write(self._masters)

    def use_average(self) -> None:
        """Puts the averaged weights into the modules: what is shipped and what is measured."""
        self._write(self._average)

    def save(self) -> None:
        """Whole or not at all."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {f"master/{name}": value for name, value in self._masters.items()}
        tensors |= {f"average/{name}": value for name, value in self._average.items()}
        tensors |= {f"momentum/{name}": value for name, value in self._muon.momenta.items()}
        for name, master in self._masters.items():
            if state := self._adam.state.get(master):
                tensors |= {
                    f"first/{name}": state["exp_avg"],
                    f"second/{name}": state["exp_avg_sq"],
                }
        part = self.folder / f"{CHECKPOINT}.part"
        whole = {name: value.contiguous() for name, value in tensors.items()}
        try:
            save_file(whole, part, {"step": str(self.step)})
            part.replace(self.folder / CHECKPOINT)
        except (OSError, SafetensorError) as error:
            raise SinkError(
                f"the checkpoint {part} could not be written ({error}): make room, and go on from the one before"
            ) from error

    def resume(self) -> bool:
        """Goes on from the folder's checkpoint, if there is one."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        stored, self.step = _read(path)
        for name, master in self._masters.items():
            if f"master/{name}" not in stored or stored[f"master/{name}"].shape != master.shape:
                raise ModelError(
                    f"{path} is of another model ({name} is missing or has another shape): give another folder"
                )
            master.copy_(stored[f"master/{name}"])
            self._average[name].copy_(stored[f"average/{name}"])
            if f"momentum/{name}" in stored:
                self._muon.momenta[name].copy_(stored[f"momentum/{name}"])
            if f"first/{name}" in stored:
                self._adam.state[master] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": stored[f"first/{name}"],
                    "exp_avg_sq": stored[f"second/{name}"],
                }
        self._write(self._masters)
        return True

    def _learn(self, loss: Loss) -> dict[str, float]:
        """One step; its loss and figures."""
        value, figures = loss(self.step)
        value.backward()
        names = self._take_gradients()
        length = nn.utils.clip_grad_norm_(
            [self._masters[name] for name in names], self.regimen.clip
        )
        shown = float(value.detach())
        if not math.isfinite(shown + float(length)):
            raise ModelError(
                f"training went wrong at step {self.step} of {self.folder} (loss {shown}, gradient {float(length)}):"
                " go on with --dtype float32, or start in another folder with another --seed"
            )
        self._update(names)
        self.step += 1
        return {"loss": shown, **figures}

    def _take_gradients(self) -> list[str]:
        """From the working weights to their masters; the names of those that have any."""
        names: list[str] = []
        for name, weight in self._working.items():
            if weight.grad is not None:
                self._masters[name].grad = weight.grad.float()
                weight.grad = None
                names.append(name)
        return names

    @torch.no_grad()
    def _update(self, names: Sequence[str]) -> None:
        share = self.regimen.share_at(self.step)
        self._muon.step(
            share * self.regimen.rate, (name for name in names if name in self._muon.weights)
        )
        for group in self._adam.param_groups:
            group["lr"] = share * self.regimen.rest_rate
        self._adam.step()
        for name in names:
            self._masters[name].grad = None
        # Early on the average follows closely, so that short runs have one too.
        near = 1 - min(self.regimen.averaging, (self.step + 1) / (self.step + 10))
        for name, master in self._masters.items():
            self._average[name].lerp_(master, near)
        self._write(self._masters)

    @torch.no_grad()
    def _write(self, weights: Mapping[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            self._working[name].copy_(weight)

    def _log(self, figures: Mapping[str, float]) -> None:
        row = {"step": self.step, **{name: round(value, 6) for name, value in figures.items()}}
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(row) + "\n")


def weights_of(parts: Parts) -> dict[str, torch.Tensor]:
    """Under the names that a loop over these modules gives them."""
    return {
        f"{part}.{name}": weight
        for part, module in parts.items()
        for name, weight in module.named_parameters()
    }


def _read(path: Path) -> tuple[dict[str, torch.Tensor], int]:
    """What a checkpoint holds, and its step."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.offset_keys()}
    except SafetensorError as error:
        raise ModelError(
            f"the checkpoint {path} is damaged ({error}): remove it to start that stage anew"
        ) from error
    return stored, int(metadata.get("step", 0))


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over the steps that have a figure."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: fmean(row[name] for row in rows if name in row) for name in names}


def _is_matrix(name: str, weight: torch.Tensor) -> bool:
    """Convolutions too; depthwise ones are a filter a channel, and tables of embeddings are looked up, not multiplied."""
    return weight.ndim > 1 and min(weight.flatten(1).shape) > 9 and "embed" not in name
