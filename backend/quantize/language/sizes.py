"""How large a quantised checkpoint will be, from the headers of its source's files alone.

What ModelOpt 0.47's unified Hugging Face export writes: each quantised weight with its scales, and
everything else at two bytes a value. Nothing is loaded.
"""

import fnmatch
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.chat.simulation import LOW_RANK
from backend.errors import Code, StudioError
from backend.models.files import corrupted, read_json
from backend.quantize.language.recipes import Form, KvRecipe, LanguageRecipe

ARCHITECTURES = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
)
"""Dense models with separate q, k, v, gate and up projections, each after a norm."""
NEVER = ("*lm_head*", "*embed*")
"""Modules that ModelOpt's presets leave out of these models."""
TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one parent that servers join into one, and that must therefore be in one precision
(vLLM `is_layer_skipped`, TensorRT-LLM `load_weights_fused_*`)."""
SHARD_SIZE = "5GB"
"""Of a file of weights, at the most."""
PICKLES = (".bin", ".pt", ".pth")
"""How names of weight files end that are pickles."""
WIDE = ("F64", "F32")
FLOATS = (*WIDE, "F16", "BF16")
SAFETENSORS_ORDER = (
    "U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16",
    "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL",
)  # fmt: skip
"""In which a file holds its tensors, by type (`Dtype` of safetensors); then by name."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def module(self) -> str:
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class SizeEstimate:
    """Bytes of the weight files.

    source: of the model as it is. whole: of the result. quantised and quantised_source: of those
    weights alone that are quantised, with their scales. layers: their modules.
    """

    source: int
    whole: int
    quantised: int
    quantised_source: int
    layers: tuple[str, ...]
    left_out: tuple[str, ...]
    """Modules that the recipe would quantise, and that are left as they are."""

    @property
    def ratio_whole(self) -> float:
        return self.source / self.whole

    @property
    def ratio_quantised_layers(self) -> float:
        return self.quantised_source / self.quantised


def read_headers(folder: Path, name: str) -> tuple[StoredTensor, ...]:
    """The tensors of a folder's weight files, without reading any.

    Raises StudioError QUANTIZE_WEIGHTS_PICKLED, QUANTIZE_WEIGHTS_MISSING, MODEL_FILES_CORRUPTED.
    """
    files = weight_files(folder)
    if not files:
        pickled = sorted(file.name for file in folder.iterdir() if file.name.endswith(PICKLES))
        if pickled:
            raise StudioError(Code.QUANTIZE_WEIGHTS_PICKLED, model=name, file=pickled[0])
        raise StudioError(Code.QUANTIZE_WEIGHTS_MISSING, model=name)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set((read_json(index, name).get("weight_map") or {}).values())
        lost = named - {file.name for file in files}
        if lost:
            raise corrupted(name, f"{min(lost)} is missing")
    return tuple(tensor for file in files for tensor in _tensors(file, name))


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def files_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(folder))


def _tensors(file: Path, name: str) -> list[StoredTensor]:
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, size)))
        found = [
            StoredTensor(
                key,
                each["dtype"],
                tuple(each["shape"]),
                each["data_offsets"][1] - each["data_offsets"][0],
            )
            for key, each in header.items()
            if key != "__metadata__"
        ]
        expected = 8 + length + sum(tensor.stored_bytes for tensor in found)
        if expected != size:
            raise ValueError(f"{size} bytes, {expected} expected")
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        problem = f"{file.name} is cut or not a safetensors file"
        raise corrupted(name, problem, str(error)) from error
    return found


def half_of(tensors: Iterable[StoredTensor]) -> Literal["F16", "BF16"]:
    """In what a model is loaded, and all that is not quantised is stored: FP16 where it is wholly
    in that already, else BF16."""
    floats = {tensor.dtype for tensor in tensors if tensor.dtype in FLOATS}
    return "F16" if floats == {"F16"} else "BF16"


def check_architecture(config: Mapping[str, Any], name: str) -> None:
    """Raises StudioError QUANTIZE_MODEL_UNSUPPORTED."""
    given = config.get("architectures")
    first = given[0] if isinstance(given, list) and given else str(config.get("model_type") or "?")
    if first not in ARCHITECTURES:
        raise StudioError(
            Code.QUANTIZE_MODEL_UNSUPPORTED,
            model=name,
            architecture=str(first)[:100],
            supported=", ".join(ARCHITECTURES),
        )


def choose_layers(
    recipe: LanguageRecipe, tensors: Iterable[StoredTensor], leave_out: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules that are quantised, and those that the recipe would and that are left out: by a
    pattern of `leave_out`, because blocks do not divide their width, or because a layer that
    servers join with them is.

    Raises StudioError QUANTIZE_NOTHING_LEFT.
    """
    block = recipe.form.block or 1
    candidates: list[str] = []
    out: set[str] = set()
    for tensor in tensors:
        module = tensor.module
        if not tensor.name.endswith(".weight") or len(tensor.shape) != 2:
            continue
        if _matches(module, NEVER) or not _matches(module, recipe.layers):
            continue
        candidates.append(module)
        rows, columns = tensor.shape
        odd = recipe.form.value == "int4" and rows % 2
        if columns % block or odd or _matches(module, leave_out):
            out.add(module)
    out |= {module for module in candidates if _siblings(module) & out}
    chosen = tuple(module for module in candidates if module not in out)
    if not chosen:
        raise StudioError(Code.QUANTIZE_NOTHING_LEFT, recipe=recipe.title)
    return chosen, tuple(module for module in candidates if module in out)


def _matches(module: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(module, pattern) for pattern in patterns)


def _siblings(module: str) -> set[str]:
    parent, _, last = module.rpartition(".")
    return {f"{parent}.{name}" for group in TOGETHER if last in group for name in group}


def estimate_size(
    recipe: LanguageRecipe,
    kv: KvRecipe,
    tensors: Sequence[StoredTensor],
    leave_out: Sequence[str] = (),
    source_bytes: int | None = None,
) -> SizeEstimate:
    """`source_bytes` are those of the source's files, where they are known better than by its
    tensors. Raises StudioError QUANTIZE_NOTHING_LEFT."""
    chosen, out = choose_layers(recipe, tensors, leave_out)
    half = half_of(tensors)
    quantised = set(chosen)
    written: dict[str, tuple[str, tuple[int, ...]]] = {}
    inside = inside_source = 0
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    for tensor in tensors:
        if tensor.name.endswith(".weight") and tensor.module in quantised:
            parts = stored_parts(recipe.form, tensor.module, shapes, half)
            written |= parts
            inside += sum(_bytes(*each) for each in parts.values())
            inside_source += tensor.stored_bytes
        else:
            plain = half if tensor.dtype in FLOATS else tensor.dtype
            written[tensor.name] = (plain, tensor.shape)
    if kv.scales:
        for name in shapes:
            for letter in "kv":
                if name.endswith(f".{letter}_proj.weight"):
                    scale = name.removesuffix("weight") + f"{letter}_scale"
                    written[scale] = ("F32", ())
    return SizeEstimate(
        source_bytes or sum(tensor.stored_bytes for tensor in tensors),
        sum(_bytes(*each) for each in written.values()) + header_bytes(written),
        inside,
        inside_source,
        chosen,
        out,
    )


def stored_parts(
    form: Form,
    module: str,
    shapes: Mapping[str, tuple[int, ...]],
    half: Literal["F16", "BF16"],
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape by name of all that stands for one quantised weight."""
    rows, columns = shapes[f"{module}.weight"]
    scales: dict[int | None, tuple[int, ...]] = {0: (), None: (rows,)}
    parts: dict[str, tuple[str, tuple[int, ...]]] = {
        "weight": {
            "fp8": ("F8_E4M3", (rows, columns)),
            "int8": ("I8", (rows, columns)),
            "fp4": ("U8", (rows, columns // 2)),
            "int4": ("U8", (rows // 2, columns)),
        }[form.value],
        "weight_scale": (
            form.scale,
            (rows, columns // form.block) if form.block else scales[form.block],
        ),
    }
    parts |= dict.fromkeys(form.scalars, ("F32", ()))
    if _keeps_smoothing(form, module, shapes):
        parts["pre_quant_scale"] = (half, (columns,))
    if form.rank:
        parts |= zip(LOW_RANK, ((half, (form.rank, columns)), (half, (rows, form.rank))))
    return {f"{module}.{name}": part for name, part in parts.items()}


def _keeps_smoothing(form: Form, module: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    parent, _, last = module.rpartition(".")
    if form.smoothing == "all":
        return True
    if form.smoothing == "none" or last not in ("o_proj", "down_proj"):
        return False
    if form.smoothing == "kept":
        return True
    before = {"o_proj": "v_proj", "down_proj": "up_proj"}[last]
    return shapes[f"{parent}.{before}.weight"][0] != shapes[f"{module}.weight"][1]


def _bytes(dtype: str, shape: tuple[int, ...]) -> int:
    size = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}.get(dtype, 1)
    return size * math.prod(shape)


def header_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> int:
    """Of the header of one safetensors file that holds them: its length, and JSON padded to eight
    bytes."""
    order = sorted(tensors, key=lambda name: (SAFETENSORS_ORDER.index(tensors[name][0]), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in order:
        dtype, shape = tensors[name]
        end = start + _bytes(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    length = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + -(-length // 8) * 8
