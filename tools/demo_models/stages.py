"""One loop for every training stage: optimiser, averaging, several GPUs, saved state, time limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from tools.demo_models.training import (
    Average,
    Clock,
    average_gradients,
    due,
    rate,
    say,
    set_rate,
    world,
)

SAVE_EVERY = 60.0
Loss = tuple[Tensor, int, dict[str, Tensor | float]]
LossFunction = Callable[[float, Random], Loss]
"""Fraction of the stage and a lot that is alike on all GPUs, to the loss of one batch, the batch's
size and figures to print."""


class PartOverError(Exception):
    """The time of this run is over; the same command goes on from the saved state."""


@dataclass(frozen=True)
class Stage:
    """A stage's name, its seconds over all runs, and where and until when this run trains."""

    name: str
    seconds: float
    device: str
    folder: Path
    deadline: float

    @property
    def over(self) -> bool:
        return self.seconds <= 0 or self._mark.exists()

    def finish(self) -> None:
        """Remember that the stage's weights are final."""
        if world()[0] == 0:
            self._mark.touch()
            self.state_file.unlink(missing_ok=True)

    @property
    def state_file(self) -> Path:
        return self.folder / f"{self.name}.state"

    @property
    def _mark(self) -> Path:
        return self.folder / f"{self.name}.done"


@dataclass(frozen=True)
class Recipe:
    """Optimiser settings of a stage; `longest` is the moving average's longest memory."""

    peak: float
    weight_decay: float = 0.01
    longest: float = 0.998


class State:
    """Weights, their average and the optimiser, kept in a file between runs."""

    def __init__(self, stage: Stage, parameters: list[nn.Parameter], recipe: Recipe) -> None:
        self.file = stage.state_file
        self.weights: list[Tensor] = [p.detach() for p in parameters]
        self.average = Average(parameters)
        self.optimizer = torch.optim.AdamW(
            parameters,
            lr=recipe.peak,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
            fused="cuda" in stage.device,
        )

    def load(self, device: str) -> tuple[float, int]:
        """Seconds and steps spent so far."""
        if not self.file.exists():
            return 0.0, 0
        kept = torch.load(self.file, map_location=device, weights_only=True)
        with torch.no_grad():
            torch._foreach_copy_(self.weights, kept["weights"])
            torch._foreach_copy_(self.average.mean, kept["average"])
        self.optimizer.load_state_dict(kept["optimizer"])
        return float(kept["seconds"]), int(kept["step"])

    def check(self) -> None:
        """Raise FloatingPointError when training has failed; the file keeps the last good state."""
        if not all(bool(weight.isfinite().all()) for weight in self.weights):
            raise FloatingPointError(f"{self.file.stem}: weights are not finite")

    def save(self, seconds: float, step: int) -> None:
        if world()[0] != 0:
            return
        self.check()
        kept = {
            "weights": self.weights,
            "average": self.average.mean,
            "optimizer": self.optimizer.state_dict(),
            "seconds": seconds,
            "step": step,
        }
        part = self.file.with_suffix(".part")
        torch.save(kept, part)
        part.replace(self.file)


def optimise(
    stage: Stage, parameters: list[nn.Parameter], recipe: Recipe, loss_of: LossFunction
) -> None:
    """Train in place, from the saved state if there is one; the weights end as moving averages.

    Raises PartOverError, state saved, when the run's time ends before the stage's does.
    """
    state = State(stage, parameters, recipe)
    spent, step = state.load(stage.device)
    clock = Clock(stage.seconds, spent, step, stage.deadline)
    order, saved = Random(17 + step), time.monotonic()
    torch.manual_seed(1000 + world()[0] + 16 * step)
    while clock.tick(step, stage.device):
        loss, batch, figures = loss_of(clock.fraction, order)
        loss.backward()
        average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        set_rate(state.optimizer, rate(clock.fraction, step, recipe.peak))
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.average.update(step, recipe.longest)
        if due(clock, step):
            shown = {name: float(value) for name, value in figures.items()}
            say(stage.name, step, clock, batch, loss=float(loss.detach()), **shown)
        step += 1
        if time.monotonic() > saved + SAVE_EVERY:
            saved = time.monotonic()
            state.save(clock.spent, step)
    if clock.fraction < 1.0:
        state.save(clock.spent, step)
        raise PartOverError(f"{stage.name} at {clock.fraction:.0%}")
    state.check()
    state.average.copy_to(parameters)
