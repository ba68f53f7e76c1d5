"""Stage 2: the text encoders learn to tell a caption's structure; their heads are thrown away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn

from tools.demo_models.labels import CLASS_COUNTS
from tools.demo_models.stages import Loss, Recipe, Stage, optimise
from tools.demo_models.training import autocast

BATCH = 2048
PEAK_RATE = 2e-3
SAID = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14]
"""Questions that every caption answers."""
Features = tuple[Tensor, Tensor]
"""Pooled vectors [B, P] and token features [B, L, W]."""
TextEncoding = Callable[[Sequence[Tensor]], Features]


@dataclass(frozen=True)
class Texts:
    """Captions as token ids [N, L] for each tokenizer, and classes [N, Q]."""

    ids: list[Tensor]
    classes: Tensor


class Heads(nn.Module):
    """Answers to all questions from the pooled vector and from the token features."""

    def __init__(self, pooled_width: int, token_width: int) -> None:
        super().__init__()
        self.pooled = nn.Linear(pooled_width, sum(CLASS_COUNTS))
        self.queries = nn.Parameter(torch.randn(len(CLASS_COUNTS), token_width) * 0.1)
        self.answers = nn.ModuleList(nn.Linear(token_width, count) for count in CLASS_COUNTS)

    def forward(self, pooled: Tensor, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """pooled [B, P], tokens [B, L, W] to a pair of logits [B, C] for each question."""
        weights = (tokens @ self.queries.T).softmax(1)
        read = (weights.transpose(1, 2) @ tokens).unbind(1)
        from_tokens = [answer(row) for answer, row in zip(self.answers, read)]
        from_pooled = self.pooled(pooled).split(CLASS_COUNTS, 1)
        return list(zip(from_pooled, from_tokens))


def train_text(
    encode: TextEncoding,
    encoders: list[nn.Module],
    widths: tuple[int, int],
    texts: Texts,
    stage: Stage,
) -> None:
    """Train the encoders in place; `widths` are those of the pooled and of the token features."""
    torch.manual_seed(31)
    heads = Heads(*widths).to(stage.device)
    loss_function = nn.CrossEntropyLoss()
    batch = min(BATCH, len(texts.classes))

    def loss_of(fraction: float, order: Random) -> Loss:
        rows = torch.randint(len(texts.classes), (batch,), device=stage.device)
        with autocast(stage.device):
            pooled, tokens = encode([ids[rows] for ids in texts.ids])
        answers = texts.classes[rows].long()
        loss, right = torch.zeros((), device=stage.device), []
        for question, pair in enumerate(heads(pooled.float(), tokens.float())):
            for logits in pair:
                loss = loss + loss_function(logits, answers[:, question])
            right.append(torch.stack([l.argmax(1) == answers[:, question] for l in pair]))
        by_pooled, by_tokens = torch.stack(right)[SAID].all(0).float().mean(1)
        return loss, batch, {"pooled": by_pooled, "tokens": by_tokens}

    parameters = [p for module in (*encoders, heads) for p in module.parameters()]
    optimise(stage, parameters, Recipe(PEAK_RATE), loss_of)
