"""What every training stage shares: clock, schedule, averaging, several GPUs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Clock:
    """Wall-clock budget of a stage in seconds; `fraction` runs from 0 to 1, alike on all ranks."""

    def __init__(
        self, seconds: float, spent: float = 0.0, step: int = 0, deadline: float = math.inf
    ) -> None:
        """`spent` seconds and `step` steps are from earlier runs; this one ends at `deadline`."""
        now = time.monotonic()
        self.seconds, self.deadline = seconds, deadline
        self.start = now - spent
        self.fraction = 0.0
        self.stopped = False
        self.said = (now, step)

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def tick(self, step: int, device: str) -> bool:
        """Update the fraction every 5 steps; False when the stage or the run is over."""
        if self.fraction == 0.0 or step % 5 == 0:
            late = float(time.monotonic() > self.deadline)
            answer = torch.tensor([self.spent / self.seconds, late], device=device)
            if dist.is_initialized():
                dist.broadcast(answer, 0)
            self.fraction, stopped = answer.tolist()
            self.stopped = bool(stopped)
        return self.fraction < 1.0 and not self.stopped


def rate(fraction: float, step: int, peak: float, warm_up: int = 200) -> float:
    """Learning rate: linear warm-up by steps, then linear decay to 1 % over the last 60 %."""
    decay = 1.0 if fraction < 0.4 else max(0.01, 1.0 - (fraction - 0.4) / 0.6)
    return peak * min(1.0, (step + 1) / warm_up) * decay


def set_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value


class Average:
    """Exponential moving average of parameters."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.live = list(parameters)
        self.mean = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self, step: int, longest: float = 0.999) -> None:
        keep = min(longest, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, self.live, 1 - keep)

    @torch.no_grad()
    def copy_to(self, parameters: Iterable[Tensor]) -> None:
        torch._foreach_copy_(list(parameters), self.mean)


def world() -> tuple[int, int]:
    """Rank and number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def start_processes() -> str:
    """Join the process group that torchrun made, if any; the device of this process."""
    if not torch.cuda.is_available():
        return "cpu"
    local = int(os.environ.get("LOCAL_RANK", "0"))
    torch.cuda.set_device(local)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("nccl", device_id=torch.device("cuda", local))
    return f"cuda:{local}"


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Mean gradient over all processes, sent as one flat tensor."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat, op=dist.ReduceOp.AVG)
    pieces = flat.split([g.numel() for g in gradients])
    torch._foreach_copy_(gradients, [p.view_as(g) for p, g in zip(pieces, gradients)])


def share(*models: nn.Module) -> None:
    """Give every process the weights of rank 0."""
    if dist.is_initialized():
        for model in models:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)


def autocast(device: str) -> torch.autocast:
    return torch.autocast("cuda" if "cuda" in device else "cpu", torch.bfloat16)


def due(clock: Clock, step: int) -> bool:
    """Whether rank 0 should print a progress line: at most one every 5 s."""
    return world()[0] == 0 and step % 10 == 0 and time.monotonic() - clock.said[0] > 5


def say(stage: str, step: int, clock: Clock, batch: int, **figures: float) -> None:
    """Print a progress line with the speed since the last one."""
    now, (then, old) = time.monotonic(), clock.said
    clock.said = (now, step)
    shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
    speed = (step - old) / (now - then)
    print(
        f"{stage} {now - clock.start:6.1f}s step {step} {speed:.1f}/s of {batch} {shown}",
        flush=True,
    )
