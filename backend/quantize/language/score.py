"""How far a quantised model is from its original: on the same tokens, with one copy in memory.

The original's logits are kept on disk before anything is quantised, because some recipes rewrite
the weights. They are kept as they come (BF16 or FP16), so nothing is lost.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional

Told = Callable[[int], None]
SECONDS = "seconds"


def keep_reference(model: Any, found: torch.Tensor, folder: Path, on_done: Told) -> None:
    """Write the logits (length - 1, words) of each sequence of `found` (n, length), and how long
    each took. Those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, tokens in enumerate(found):
        file = _file(folder, index)
        if not file.exists():
            since = time.perf_counter()
            logits = _logits(model, tokens).cpu().contiguous()
            seconds = str(time.perf_counter() - since)
            unfinished = file.with_suffix(".part")
            save_file({"logits": logits}, unfinished, metadata={SECONDS: seconds})
            unfinished.replace(file)
        on_done(index + 1)


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:05}.safetensors"


def _reference(folder: Path, index: int) -> tuple[torch.Tensor, float]:
    with safe_open(_file(folder, index), framework="pt") as file:
        return file.get_tensor("logits"), float(file.metadata()[SECONDS])


def _logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(tokens[None].to(model.device), use_cache=False).logits[0, :-1]
    return found


def score(model: Any, found: torch.Tensor, folder: Path, on_done: Told) -> dict[str, Any]:
    """The fields of `Quality` that are measured, of `model` against the kept reference.

    All in FP32. KL divergence is of the model's distribution from the reference's, sum p log(p/q).
    """
    since, reference_s = time.perf_counter(), 0.0
    divergences, agreed = [], 0
    loss = torch.zeros(2, dtype=torch.float64)
    for index, tokens in enumerate(found):
        logits = _logits(model, tokens)
        kept, seconds = _reference(folder, index)
        reference_s += seconds
        before, after = _log_softmax(kept.to(logits.device)), _log_softmax(logits)
        wanted = tokens[1:, None].to(logits.device)
        divergences.append((before.exp() * (before - after)).sum(-1).cpu())
        agreed += int((before.argmax(-1) == after.argmax(-1)).sum())
        loss[0] -= before.gather(-1, wanted).sum().double().cpu()
        loss[1] -= after.gather(-1, wanted).sum().double().cpu()
        on_done(index + 1)
    divergence = torch.cat(divergences).double()
    means = (loss / divergence.numel()).tolist()
    return {
        "perplexity_reference": _perplexity(means[0]),
        "perplexity": _perplexity(means[1]),
        "kl_mean": max(0.0, divergence.mean().item()),
        "kl_p99": max(0.0, divergence.quantile(0.99).item()),
        "kl_max": max(0.0, divergence.max().item()),
        "top1_agreement": agreed / divergence.numel(),
        "tokens": divergence.numel(),
        "seconds": reference_s + time.perf_counter() - since,
    }


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return functional.log_softmax(logits.float(), -1)


def _perplexity(mean_loss: float) -> float:
    """Of a mean cross-entropy in nats; the largest number where it is beyond any."""
    return math.exp(min(mean_loss, 700.0))
