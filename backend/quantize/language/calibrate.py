"""ModelOpt's quantisers in a language model: set up, calibrated, kept and put back.

nvidia-modelopt 0.47, `modelopt.torch.quantization`. What calibration finds is kept in safetensors,
so that a job goes on from there after a crash: the ranges and scales of all quantisers, and the
weights where a recipe rewrites them.
"""

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from backend.quantize.language.recipes import KvRecipe, LanguageRecipe

SHARD_BYTES = 1 << 27
DONE = "done"
Loop = Callable[[Any], None]


def quant_config(recipe: LanguageRecipe, kv: KvRecipe, left_out: Iterable[str]) -> dict[str, Any]:
    """The preset with the KV cache's part, and with the quantisers of `left_out` modules off."""
    from modelopt.recipe.presets import KV_QUANT_CFG_CHOICES, QUANT_CFG_CHOICES

    config: dict[str, Any] = copy.deepcopy(QUANT_CFG_CHOICES[recipe.name])
    config["quant_cfg"] += [
        {"quantizer_name": f"{module}.*", "enable": False} for module in left_out
    ]
    if kv.algorithm is not None:
        config["quant_cfg"] += copy.deepcopy(KV_QUANT_CFG_CHOICES[kv.name]["quant_cfg"])
        config["algorithm"] = config.get("algorithm") or "max"
    return config


def calibrate(model: Any, config: dict[str, Any], loop: Loop | None) -> None:
    """Quantise `model` in place; `loop` passes the text through it, as often as it is called; None
    where there is nothing to calibrate."""
    import modelopt.torch.quantization as mtq

    with torch.inference_mode():
        mtq.quantize(model, config, loop)


def keep_calibration(model: Any, recipe: LanguageRecipe, folder: Path) -> None:
    """Write what calibration found; whole once the file `done` is there."""
    folder.mkdir(parents=True, exist_ok=True)
    shard: dict[str, torch.Tensor] = {}
    held = index = 0
    for name, tensor in model.state_dict().items():
        if not _is_kept(name, recipe):
            continue
        shard[name] = tensor.detach().cpu().contiguous()
        held += tensor.nbytes
        if held >= SHARD_BYTES:
            save_file(shard, folder / f"{index:05}.safetensors")
            shard, held, index = {}, 0, index + 1
    save_file(shard, folder / f"{index:05}.safetensors")
    (folder / DONE).touch()


def _is_kept(name: str, recipe: LanguageRecipe) -> bool:
    quantiser = "_quantizer." in name
    return quantiser or (recipe.rewrites_weights and name.endswith("_proj.weight"))


def is_kept(recipe: LanguageRecipe, folder: Path) -> bool:
    """Whether a calibration is there that can be put back; that of SVDQuant cannot."""
    return not recipe.form.rank and (folder / DONE).exists()


def restore_calibration(
    model: Any, recipe: LanguageRecipe, config: dict[str, Any], folder: Path
) -> None:
    """Quantise `model` in place with what an earlier calibration of the same config found."""
    import modelopt.torch.quantization as mtq

    with torch.inference_mode():
        mtq.quantize(model, {**config, "algorithm": None})
        parameters = dict(model.named_parameters())
        for file in sorted(folder.glob("*.safetensors")):
            for name, tensor in load_file(file).items():
                if name in parameters:
                    parameters[name].copy_(tensor)
                else:
                    owner, _, buffer = name.rpartition(".")
                    _put_back(model.get_submodule(owner), buffer, tensor.to(model.device))
        if recipe.form.value == "int4":
            for layer in model.modules():
                if hasattr(layer, "weight_quantizer"):
                    layer.weight_quantizer(layer.weight)  # notes how its blocks lie, for the export


def _put_back(quantiser: Any, buffer: str, tensor: torch.Tensor) -> None:
    if buffer == "_pre_quant_scale":
        quantiser._enable_pre_quant_scale = True
    if hasattr(quantiser, buffer):
        delattr(quantiser, buffer)
    quantiser.register_buffer(buffer, tensor)
