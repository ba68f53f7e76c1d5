"""A quantised checkpoint's weights as plain BF16, in a child process: to chat with it where its own
format does not run. Only the weights are so: what quantised activations or a quantised cache would
change is not in it, and everything that is shown of it says so.

The formats are those of ModelOpt's unified Hugging Face export (`modelopt/torch/export`).
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from backend.chat.models import MANIFEST, SIMULATION, read_language_model
from backend.chat.simulation import LOW_RANK, READABLE
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.models.files import read_json

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""The values of a 4-bit float with two exponent bits and one of mantissa; the fourth bit is the
sign (OCP Microscaling Formats, 5.3.3)."""
MX_BIAS = 127
"""Of the exponents that are scales (OCP Microscaling Formats, 5.4.1)."""
COMPANIONS = (
    "weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale", "k_scale", "v_scale",
    "output_scale", *LOW_RANK,
)  # fmt: skip
INDEX = "model.safetensors.index.json"
LEFT_OUT = frozenset({"config.json", "hf_quant_config.json", INDEX, MANIFEST})

Get = Callable[[str], torch.Tensor | None]


def dequantise(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Write `folder` from the checkpoint `source`; its path. It appears when it is whole.

    Raises StudioError CHECKPOINT_NOT_READABLE, MODEL_FILES_CORRUPTED.
    """
    source, folder = Path(arguments["source"]), Path(arguments["folder"])
    model = read_language_model(source)
    if not model.modelopt or str(model.algorithm).upper() not in READABLE:
        raise not_readable(source, f"{model.algorithm} is no format that can be undone")
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    shards = sorted(source.glob("*.safetensors"))
    total = sum(shard.stat().st_size for shard in shards)
    done, places = 0, dict[str, str]()
    get = tensor_reader(shards)
    for shard in shards:
        tell({"step": done, "total": total})
        tensors = _plain(shard, get, source)
        save_file(tensors, unfinished / shard.name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, shard.name)
        done += shard.stat().st_size
    _write_rest(source, unfinished, places, str(model.algorithm))
    unfinished.replace(folder)
    tell({"step": total, "total": total})
    return {"folder": str(folder)}


def tensor_reader(shards: list[Path]) -> Get:
    """Tensors by name from whichever file has them."""
    places: dict[str, Path] = {}
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), shard)

    def get(name: str) -> torch.Tensor | None:
        if name not in places:
            return None
        with safe_open(places[name], framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(name)
            return tensor

    return get


def _plain(shard: Path, get: Get, source: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file without their scales, floats as BF16."""
    tensors = {}
    with safe_open(shard, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  no dict
            if name.endswith(COMPANIONS):
                continue
            value = file.get_tensor(name)
            if name.endswith(".weight"):
                value = applied_weight(value, get, name.removesuffix(".weight"), source)
            if value.is_floating_point():
                value = value.to(torch.bfloat16)
                if not torch.isfinite(value).all():
                    raise not_readable(source, f"{name} is not finite")
            tensors[name] = value.contiguous()
    return tensors


def applied_weight(
    weight: torch.Tensor, get: Get, module: str, source: Path = Path()
) -> torch.Tensor:
    """A stored weight (out, in) in FP32 as its layer applies it to its input: low-rank correction
    and scale of the input included; as it is where it is not quantised.

    Raises StudioError CHECKPOINT_NOT_READABLE.
    """
    scale = get(f"{module}.weight_scale")
    if scale is None:
        return weight
    plain = plain_weight(weight, scale, get(f"{module}.weight_scale_2"), module, source)
    narrow, wide = (get(f"{module}.{name}") for name in LOW_RANK)
    if narrow is not None and wide is not None:
        plain = plain + wide.float() @ narrow.float()
    smoothing = get(f"{module}.pre_quant_scale")
    return plain if smoothing is None else plain * smoothing.float()


def plain_weight(
    weight: torch.Tensor,
    scale: torch.Tensor,
    global_scale: torch.Tensor | None,
    name: str = "weight",
    source: Path = Path(),
) -> torch.Tensor:
    """A weight of (out, in) in FP32 from what the checkpoint holds.

    FP8: float8_e4m3fn (out, in), `scale` a scalar, (out,), or one a square block. INT8: the same
    with (out,). MXFP8: float8_e4m3fn, `scale` uint8 (out, in / 32): exponents of two, plus 127.
    NVFP4: uint8 (out, in / 2), the even column in the low half, `scale` float8_e4m3fn
    (out, in / block), and a scalar `global_scale`. INT4: uint8 (out / 2, in), the even row in the
    low half, `scale` (out, in / block).

    Raises StudioError CHECKPOINT_NOT_READABLE.
    """
    if weight.dim() != 2:
        raise not_readable(source, f"{name} has {weight.dim()} dimensions")
    if weight.dtype is torch.float8_e4m3fn and scale.dtype is torch.uint8:
        scale = torch.exp2(scale.float() - MX_BIAS)
    if weight.dtype in (torch.float8_e4m3fn, torch.int8):
        return weight.float() * _spread(scale.float(), weight.shape, name, source)
    if weight.dtype is torch.uint8 and scale.dtype is torch.float8_e4m3fn:
        if global_scale is None:
            raise not_readable(source, f"{name} has no weight_scale_2")
        halves = torch.stack((weight & 0x0F, weight >> 4), dim=-1).flatten(-2)
        values = torch.tensor([*E2M1, *(-each for each in E2M1)])[halves.long()]
        return values * _spread(scale.float() * global_scale.float(), values.shape, name, source)
    if weight.dtype is torch.uint8 and scale.is_floating_point():
        halves = torch.stack((weight & 0x0F, weight >> 4), dim=1).flatten(0, 1).to(torch.int8)
        signed = torch.where(halves > 7, halves - 16, halves).float()
        return signed * _spread(scale.float(), signed.shape, name, source)
    raise not_readable(source, f"{name} is {weight.dtype} with a scale in {scale.dtype}")


def _spread(scale: torch.Tensor, shape: tuple[int, ...], name: str, source: Path) -> torch.Tensor:
    """A scalar, a scale a row, or one a block of rows and columns, for each element."""
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    if scale.dim() == 4:
        scale = scale[:, 0, :, 0]
    if scale.dim() == 1 and scale.numel() == shape[0]:
        return scale[:, None]
    if scale.dim() == 2 and not (shape[0] % scale.shape[0] or shape[1] % scale.shape[1]):
        rows = scale.repeat_interleave(shape[0] // scale.shape[0], 0)
        return rows.repeat_interleave(shape[1] // scale.shape[1], 1)
    raise not_readable(source, f"the scale of {name} is {tuple(scale.shape)} for {tuple(shape)}")


def _write_rest(source: Path, folder: Path, places: dict[str, str], algorithm: str) -> None:
    """Configuration without quantisation, tokenizer, index, and what this folder is."""
    config = read_json(source / "config.json", source.name)
    config.pop("quantization_config", None)
    config["dtype"] = "bfloat16"
    config.pop("torch_dtype", None)
    _write(folder / "config.json", config)
    for file in sorted(source.iterdir()):
        kept = file.suffix in (".json", ".jinja", ".txt", ".model")
        if kept and file.name not in LEFT_OUT and file.is_file():
            shutil.copyfile(file, folder / file.name)
    if len(set(places.values())) > 1:
        sizes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        _write(folder / INDEX, {"metadata": {"total_size": sizes}, "weight_map": places})
    manifest = {
        "label": SIMULATION,
        "algorithm": algorithm,
        "source": str(source),
        "made_at": time.time(),
    }
    _write(folder / MANIFEST, manifest)


def _write(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=1), encoding="utf-8")


def not_readable(source: Path, problem: str) -> StudioError:
    return StudioError(Code.CHECKPOINT_NOT_READABLE, model=source.name, problem=problem)


if __name__ == "__main__":
    child_main(dequantise)
