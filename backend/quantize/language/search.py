"""Which layers a recipe should leave in 16 bits, for a target of bits a weight on average.

ModelOpt's `auto_quantize`, whose documentation calls what it finds experimental.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from backend.contracts import LayerSensitivity
from backend.quantize.language.recipes import LanguageRecipe

ALWAYS = "*lm_head*"
NONE = "NONE"
"""What ModelOpt calls leaving a layer as it is."""


def search(
    model: Any,
    recipe: LanguageRecipe,
    config: dict[str, Any],
    left_out: Iterable[str],
    bits: float,
    batches: list[torch.Tensor],
    on_pass: Callable[[int], None],
) -> list[LayerSensitivity]:
    """Quantise `model` in place so that its weights have `bits` bits on average at the most, and
    say how sensitive each layer was: how far quantising it alone moves the model's answers, as KL
    divergence summed the way ModelOpt does, which tells layers apart and nothing else. Layers that
    servers join share a score.

    `batches` (n, length) are passed often: to calibrate, and then once and more for each layer;
    `on_pass` is told how many have been.
    """
    import modelopt.torch.quantization as mtq

    passed = 0

    def forward(quantised: Any, tokens: torch.Tensor) -> torch.Tensor:
        nonlocal passed
        passed += 1
        on_pass(passed)
        logits: torch.Tensor = quantised(tokens.to(model.device), use_cache=False).logits
        return logits

    with torch.no_grad():
        _, state = mtq.auto_quantize(
            model,
            constraints={"effective_bits": bits},
            quantization_formats=[config],
            data_loader=batches,
            forward_step=forward,
            method="kl_div",
            disabled_layers=[ALWAYS, *left_out],
            num_calib_steps=len(batches),
            num_score_steps=len(batches),
        )
    found = []
    for name, told in state["candidate_stats"].items():
        choices = [str(form).startswith(NONE) for form in told["formats"]]
        if all(choices):  # one of those that were left out from the start
            continue
        kept = str(state["best"]["recipe"][name]).startswith(NONE)
        score = float(told["scores"][choices.index(False)])
        found += [
            LayerSensitivity(layer=layer, chosen="none" if kept else recipe.name, score=score)
            for layer in told["module_names"]
        ]
    return found
