"""Scoring by its definition, batches that do not fit, and what AWQ folds away."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import StudioError
from backend.quantize.language.check import check_files, compare_weights
from backend.quantize.language.load import in_batches
from backend.quantize.language.recipes import LANGUAGE_RECIPES
from backend.quantize.language.score import keep_reference, score
from tests.tiny_llama import make_tiny_llama

WIDTH, INNER = 128, 256


class Fixed(torch.nn.Module):
    """A model that says what it is told to."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits
        self.device = torch.device("cpu")

    def forward(self, tokens: torch.Tensor, **_: Any) -> Any:
        return type("Output", (), {"logits": self.logits[None, : tokens.shape[1]]})


def test_the_score_is_what_its_definition_says(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    before, after = random.normal(size=(2, 9, 5)).astype(np.float32)
    tokens = torch.from_numpy(random.integers(0, 5, (1, 9)))
    keep_reference(Fixed(torch.from_numpy(before)), tokens, tmp_path, lambda done: None)
    found = score(Fixed(torch.from_numpy(after)), tokens, tmp_path, lambda done: None)

    def probabilities(logits: Any) -> Any:
        powers = np.exp(logits[:-1].astype(np.float64))
        return powers / powers.sum(1, keepdims=True)

    p, q = probabilities(before), probabilities(after)
    at = (np.arange(8), tokens[0, 1:].numpy())
    divergence = (p * np.log(p / q)).sum(1)
    assert found["perplexity_reference"] == pytest.approx(np.exp(-np.log(p[at]).mean()), rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(-np.log(q[at]).mean()), rel=1e-5)
    assert found["kl_mean"] == pytest.approx(divergence.mean(), rel=1e-5)
    assert found["kl_max"] == pytest.approx(divergence.max(), rel=1e-5)
    assert found["kl_p99"] == pytest.approx(np.quantile(divergence, 0.99), rel=1e-5)
    assert found["top1_agreement"] == (p.argmax(1) == q.argmax(1)).mean()
    same = score(Fixed(torch.from_numpy(before)), tokens, tmp_path, lambda done: None)
    assert same["kl_max"] == 0.0 and same["top1_agreement"] == 1.0


def test_memory_that_runs_out_halves_the_batch_and_then_tells() -> None:
    sizes: list[int] = []

    def run(limit: int) -> Callable[[torch.Tensor], None]:
        def one(tokens: torch.Tensor) -> None:
            if len(tokens) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            sizes.append(len(tokens))

        return one

    tokens, halved, done = torch.zeros(7, 4, dtype=torch.long), list[int](), list[int]()
    device = torch.device("cpu")
    assert in_batches(run(2), tokens, 8, device, done.append, halved.append) == 2
    assert (sizes, halved, done) == ([2, 2, 2, 1], [4, 2], [2, 4, 6, 7])
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(run(0), tokens, 8, device, done.append, halved.append)


def test_what_awq_folds_into_neighbours_is_taken_out_again(tmp_path: Path) -> None:
    """By hand, as ModelOpt folds NVFP4 AWQ where it has a GPU: scales of the norm before, and of
    the rows of the layer before."""
    recipe = LANGUAGE_RECIPES["nvfp4_awq_lite"]
    source = make_tiny_llama(tmp_path / "source", hidden_size=WIDTH, intermediate_size=INNER)
    values = load_file(source / "model.safetensors")
    random = torch.Generator().manual_seed(0)
    layer = "model.layers.0"

    def scale(width: int) -> torch.Tensor:
        return torch.rand(width, generator=random) + 0.5

    norm, inner = scale(WIDTH), scale(INNER)
    values[f"{layer}.post_attention_layernorm.weight"] *= norm
    for name in ("gate_proj", "up_proj"):
        values[f"{layer}.mlp.{name}.weight"] /= norm
    values[f"{layer}.mlp.up_proj.weight"] *= inner[:, None]
    values[f"{layer}.mlp.down_proj.weight"] /= inner
    shutil.copytree(source, tmp_path / "folded")
    save_file(values, tmp_path / "folded" / "model.safetensors", metadata={"format": "pt"})
    forms = {f"{layer}.mlp.{name}_proj": recipe for name in ("gate", "up", "down")}
    errors = compare_weights(source, tmp_path / "folded", forms, lambda done, total: None)
    assert errors.keys() == forms.keys()
    assert max(errors.values()) < 1e-5
    with pytest.raises(StudioError):
        check_files(source, tmp_path / "folded", "NVFP4_AWQ")
