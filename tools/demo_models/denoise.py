"""Training of any denoiser on latents with text features: batches by lot, sizes, compiled blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn

from tools.demo_models.pool import Size
from tools.demo_models.stages import Loss, Recipe, Stage, optimise
from tools.demo_models.train_text import Features

NO_CAPTION = 0.10
SMALL, NATIVE = (128, 128), (256, 256)
SMALL_ONLY_UNTIL = 0.40


@dataclass
class Encoded:
    """Scaled latents [N, C, h, w] with text features of every wording."""

    latents: Tensor
    pooled: Tensor
    tokens: Tensor


@dataclass
class Batch:
    """Latents [B, C, h, w] in FP32 with pooled vectors [B, P] and token features [B, L, W]."""

    latents: Tensor
    pooled: Tensor
    tokens: Tensor


def random_batch(shelf: Encoded, empty: Features, count: int) -> Batch:
    """Pictures by lot, some of them with the empty caption."""
    device = shelf.latents.device
    rows = torch.randint(len(shelf.latents), (count,), device=device)
    wording = torch.randint(shelf.pooled.shape[1], (count,), device=device)
    pooled, tokens = shelf.pooled[rows, wording], shelf.tokens[rows, wording]
    without = torch.rand(count, device=device) < NO_CAPTION
    pooled = torch.where(without[:, None], empty[0], pooled)
    tokens = torch.where(without[:, None, None], empty[1], tokens)
    return Batch(shelf.latents[rows].float(), pooled, tokens)


class CompiledBlocks:
    """Compiles a denoiser's blocks and switches to plain execution for rare sizes."""

    def __init__(self, blocks: list[nn.Module], wanted: bool) -> None:
        self.blocks = blocks
        self.calls: list[Callable | None] = [None] * len(blocks)
        if wanted:
            for block in blocks:
                block.compile(dynamic=False)
            self.calls = [block._compiled_call_impl for block in blocks]

    def use(self, size: Size) -> None:
        for block, call in zip(self.blocks, self.calls):
            block._compiled_call_impl = call if size in (SMALL, NATIVE) else None


def choose_size(order: Random, fraction: float, sizes: list[Size]) -> Size:
    """Small pictures first; then the native size most often, among all others."""
    if fraction < SMALL_ONLY_UNTIL:
        return SMALL
    lot = order.random()
    others = [size for size in sizes if size not in (SMALL, NATIVE)]
    if lot < 0.70 or not others:
        return NATIVE
    return SMALL if lot < 0.82 else order.choice(others)


def batch_size(size: Size, base: int, text_cost: int) -> int:
    """As many pictures of this size as cost about `base` of 128 x 128; text costs in 16 x 16 px."""
    cost = size[0] * size[1] / 256 + text_cost
    return max(2, round(base * (64 + text_cost) / cost / 8) * 8)


@dataclass(frozen=True)
class Plan:
    """How a denoiser trains: 128 px pictures a step, memory layout, first share of the size plan."""

    batch: int
    compiled: bool
    channels_last: bool = False
    first_fraction: float = 0.0
    text_cost: int = 0


@dataclass(frozen=True)
class Goal:
    """What a stage teaches: its peak learning rate and the loss of a batch."""

    peak: float
    loss: Callable[[Batch], Tensor]
    blocks: list[nn.Module]


def fit(
    denoiser: nn.Module,
    shelves: dict[Size, Encoded],
    empty: Features,
    stage: Stage,
    plan: Plan,
    goal: Goal,
) -> None:
    """Train in place towards the goal; the weights at the end are the moving average."""
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    denoiser.to(memory_format=layout)
    blocks = CompiledBlocks(goal.blocks, plan.compiled)

    def loss_of(fraction: float, order: Random) -> Loss:
        fraction = plan.first_fraction + (1 - plan.first_fraction) * fraction
        size = choose_size(order, fraction, list(shelves))
        blocks.use(size)
        count = batch_size(size, plan.batch, plan.text_cost)
        loss = goal.loss(random_batch(shelves[size], empty, count))
        return loss, count, {"size": size[0]}

    optimise(stage, list(denoiser.parameters()), Recipe(goal.peak, longest=0.999), loss_of)
    blocks.use((0, 0))
    denoiser.to(memory_format=torch.contiguous_format)
