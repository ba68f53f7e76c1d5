"""Quantising a language model, step by step, against the bare calls that it consists of; on random
weights, since times do not depend on their values."""

import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from backend.jobs.worker import prepare_process
from backend.quantize.costs import Costs
from backend.quantize.language.calibrate import calibrate, quant_config
from backend.quantize.language.load import pick_device
from backend.quantize.language.recipes import find_kv_recipe, find_recipe
from backend.quantize.language.score import keep_reference, score
from backend.quantize.language.work import Loop, Teller
from backend.settings import Settings
from benchmarks.measure import Result

SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": 8192,
}
RECIPES = ("fp8", "int8_smoothquant")
SEQUENCES, SCORED, LENGTH, BATCH, TURNS = 8, 4, 256, 4, 3


def measure() -> list[Result]:
    with TemporaryDirectory(prefix="studio-quantize-") as home:
        prepare_process(Settings(home=Path(home)), 0)
        device = pick_device()
        model, tokens = _model(device), torch.randint(0, 8192, (SEQUENCES, LENGTH))
        results = []
        for name in RECIPES:
            calibrating, scoring = [], []
            for turn in range(TURNS):
                ratios = _turn(model, name, tokens, Path(home) / f"{name}.{turn}", device)
                calibrating.append(ratios[0])
                scoring.append(ratios[1])
            results += [
                Result(f"calibrate_{name}_over_bare", statistics.median(calibrating), "x", 1.05),
                Result(f"score_{name}_over_two_passes", statistics.median(scoring), "x", 1.2),
            ]
        return results


def _model(device: torch.device) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(**SHAPE)).to(device, torch.bfloat16).eval()


def _turn(
    model: Any, name: str, tokens: torch.Tensor, folder: Path, device: torch.device
) -> tuple[float, float]:
    """The studio's calibration over the bare one, and its score over the two models' passes."""
    import modelopt.torch.quantization as mtq

    recipe = find_recipe(name)
    config = quant_config(recipe, find_kv_recipe("none"), [])
    held = tokens[:SCORED]

    def bare(given: Any) -> None:
        for part in tokens.split(BATCH):
            given(part.to(device), use_cache=False, logits_to_keep=1)

    def passes(given: Any) -> None:
        with torch.inference_mode():
            for row in held:
                given(row[None].to(device), use_cache=False)

    teller = Teller(lambda news: None, Costs(device))
    loop = Loop(teller, tokens, BATCH, device, max(recipe.passes, 1))
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    original_s = _seconds(lambda: passes(model), device)
    keeping_s = _seconds(lambda: keep_reference(model, held, folder, lambda done: None), device)
    ours_s = _seconds(lambda: calibrate(ours, config, loop), device)
    with torch.inference_mode():
        theirs_s = _seconds(lambda: mtq.quantize(theirs, copy.deepcopy(config), bare), device)
    quantised_s = _seconds(lambda: passes(ours), device)
    scoring_s = _seconds(lambda: score(ours, held, folder, lambda done: None), device)
    return ours_s / theirs_s, (keeping_s + scoring_s) / (original_s + quantised_s)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    since = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - since
