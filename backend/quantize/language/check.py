"""Is a checkpoint right: its files, its tensors, and its weights against those it was made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from backend.chat.dequantise import Get, applied_weight, tensor_reader
from backend.errors import Code, StudioError
from backend.language import Text, Value, text
from backend.models.files import read_json
from backend.quantize.language.export import BESIDE, LEGAL
from backend.quantize.language.recipes import LanguageRecipe
from backend.quantize.language.sizes import half_of, read_headers, stored_parts, weight_files

FARTHEST = {"fp8": 0.08, "int8": 0.08, "fp4": 0.3, "int4": 0.35}
"""Relative error of a weight beyond which it is not rounding: twice and more of what random weights
show (docs/quantisation.md). A wrong scale or order is off by about 1."""
NORMS = ("input_layernorm", "post_attention_layernorm")
AFTER_NORM = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), NORMS[0]),
    **dict.fromkeys(("gate_proj", "up_proj"), NORMS[1]),
}
BEFORE = {"o_proj": "v_proj", "down_proj": "up_proj"}


def check_files(source: Path, folder: Path, algorithm: str) -> None:
    """All files are there, and both configurations name the format. Raises StudioError
    CHECKPOINT_CHECK_FAILED."""
    wanted = {"config.json", "hf_quant_config.json", "generation_config.json"}
    for file in source.iterdir():
        beside = file.suffix in BESIDE and not file.name.endswith(".safetensors.index.json")
        if file.is_file() and (beside or file.name.upper().startswith(LEGAL)):
            wanted.add(file.name)
    wanted.discard("manifest.json")
    for name in sorted(wanted):
        if not (folder / name).is_file():
            raise wrong("missing_file", file=name)
    told = read_json(folder / "hf_quant_config.json", folder.name).get("quantization") or {}
    inside = read_json(folder / "config.json", folder.name).get("quantization_config") or {}
    for found in (told.get("quant_algo"), inside.get("quant_algo")):
        if found != algorithm:
            raise wrong("algorithm", found=str(found), wanted=algorithm)
    if inside.get("quant_method") != "modelopt":
        raise wrong("algorithm", found=str(inside.get("quant_method")), wanted="modelopt")


def check_tensors(
    source: Path, folder: Path, forms: dict[str, LanguageRecipe], mixed: bool = False
) -> None:
    """Every tensor of the source is there, the quantised ones (`forms` by module) in the types and
    shapes of their format. Raises StudioError CHECKPOINT_CHECK_FAILED, MODEL_FILES_CORRUPTED."""
    tensors = read_headers(source, source.name)
    shapes, half = {each.name: each.shape for each in tensors}, half_of(tensors)
    found = {each.name: (each.dtype, each.shape) for each in read_headers(folder, folder.name)}
    for name in shapes:
        module = name.rpartition(".")[0]
        if name not in found:
            raise wrong("missing_tensor", tensor=name)
        if not name.endswith(".weight") or module not in forms:
            continue
        for part, wanted in stored_parts(forms[module].form, module, shapes, half).items():
            if part not in found:
                raise wrong("missing_tensor", tensor=part)
            # a layer of a mixture may share its norm with one that is not smoothed
            if found[part] != wanted and not (mixed and part.endswith("pre_quant_scale")):
                raise wrong(
                    "tensor", tensor=part, found=_shown(*found[part]), wanted=_shown(*wanted)
                )


def _shown(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype} {list(shape)}"


def compare_weights(
    source: Path,
    folder: Path,
    forms: dict[str, LanguageRecipe],
    on_done: Callable[[int, int], None],
) -> dict[str, float]:
    """The relative error (root mean square) of each quantised weight once it is computed back,
    each column at the scale at which it was rounded.

    What ModelOpt folded into the norm before a layer, or into the layer before it, is taken out
    again. Raises StudioError CHECKPOINT_CHECK_FAILED for what is not finite or too far off,
    CHECKPOINT_NOT_READABLE.
    """
    before, after = tensor_reader(weight_files(source)), tensor_reader(weight_files(folder))
    names = [each.name for each in read_headers(folder, folder.name)]
    errors: dict[str, float] = {}
    for index, name in enumerate(names):
        on_done(index, len(names))
        value = _get(after, name)
        if value.is_floating_point() and not torch.isfinite(value.float()).all():
            raise wrong("not_finite", tensor=name)
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and module in forms:
            recipe = forms[module]
            wanted = _get(before, name).float()
            folded = _folded(before, after, module, recipe)
            found = dequantised(after, module) * folded
            smoothing = after(f"{module}.pre_quant_scale")
            scale = folded if smoothing is None else folded * smoothing.float()
            off = ((found - wanted) / scale).norm()
            error = float(off / (wanted / scale).norm().clamp_min(1e-30))
            limit = FARTHEST[recipe.form.value]
            if not error <= limit:
                raise wrong("far", tensor=name, error=f"{error:.3g}", limit=f"{limit:.2g}")
            errors[module] = error
    on_done(len(names), len(names))
    return errors


def dequantised(get: Get, module: str) -> torch.Tensor:
    """A weight (out, in) in FP32 as its layer applies it to its input."""
    return applied_weight(_get(get, f"{module}.weight"), get, module).float()


def _folded(before: Get, after: Get, module: str, recipe: LanguageRecipe) -> torch.Tensor:
    """What to multiply a stored weight (out, in) with for what was folded elsewhere."""
    parent, _, last = module.rpartition(".")
    smoothing = recipe.form.smoothing
    if smoothing != "none" and last in AFTER_NORM:
        columns = _norm_ratio(before, after, module)
        into = smoothing == "unfolded" and last in BEFORE.values()
        return columns / _row_scale(before, after, module) if into else columns
    if smoothing == "unfolded" and after(f"{module}.pre_quant_scale") is None:
        return _row_scale(before, after, f"{parent}.{BEFORE[last]}").T
    return torch.ones(1, 1)


def _norm_ratio(before: Get, after: Get, module: str) -> torch.Tensor:
    """The factor (1, in) that the norm before a layer was given."""
    parent, _, last = module.rpartition(".")
    norm = f"{parent.rpartition('.')[0]}.{AFTER_NORM[last]}.weight"
    return (_get(after, norm).float() / _get(before, norm).float())[None]


def _row_scale(before: Get, after: Get, module: str) -> torch.Tensor:
    """The factor (out, 1) that a weight's rows were given, by least squares."""
    wanted = _get(before, f"{module}.weight").float()
    found = dequantised(after, module) * _norm_ratio(before, after, module)
    return (found * wanted).sum(1, keepdim=True) / wanted.square().sum(1, keepdim=True)


def put_weights(model: Any, folder: Path) -> None:
    """Give `model`, made from the source, the checkpoint's weights, computed back."""
    get = tensor_reader(weight_files(folder))
    with torch.inference_mode():
        for name, parameter in model.named_parameters():
            if name.endswith(".weight"):
                parameter.copy_(dequantised(get, name.removesuffix(".weight")))
            else:
                parameter.copy_(_get(get, name))


def check_sizes(folder: Path) -> dict[str, int]:
    """Bytes by name of the files. Raises StudioError MODEL_FILES_CORRUPTED where the weight files
    are not as long as their headers say."""
    read_headers(folder, folder.name)
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}


def _get(get: Get, name: str) -> torch.Tensor:
    found = get(name)
    if found is None:
        raise wrong("missing_tensor", tensor=name)
    return found


def wrong(problem: str, **values: Value) -> StudioError:
    told: Text = text(f"quantize.wrong.{problem}", **values)
    return StudioError(Code.CHECKPOINT_CHECK_FAILED, problem=told)
