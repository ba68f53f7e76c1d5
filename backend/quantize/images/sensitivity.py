"""What quantising each block of a denoiser alone does to its output, in a child process."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backend.contracts import BlockSensitivity, Precision, Sensitivity
from backend.images.device import pick_device
from backend.images.pipeline import load_pipeline
from backend.jobs.children import News, child_main
from backend.models.families import FAMILIES
from backend.quantize.calibration import Calibration, failed
from backend.quantize.costs import Costs
from backend.quantize.fake import fake_quantised
from backend.quantize.images.inputs import Call, load_calls

Outputs = list[torch.Tensor]


def measure(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """A `Sensitivity` as data. The denoiser runs in torch on inputs of the reference's pictures.

    Raises StudioError CALIBRATION_FAILED (an output is not finite), and what loading raises.
    """
    device = torch.device("cpu") if arguments["on_cpu"] else pick_device()
    costs = Costs(device)
    with costs.phase("sensitivity"), torch.inference_mode():
        found = _measure(arguments, device, tell)
    peak = costs.phases["sensitivity"]["peak_memory_bytes"]
    return {"sensitivity": found.model_dump(mode="json"), "peak_memory_bytes": peak}


def _measure(arguments: dict[str, Any], device: torch.device, tell: News) -> Sensitivity:
    precision = Precision(arguments["precision"])
    family = FAMILIES[arguments["family"]]
    others = set(family.components) - {family.denoiser}
    folder, model = Path(arguments["folder"]), arguments["model"]
    pipeline = load_pipeline(folder, model, precision, device, others)
    denoiser: nn.Module = getattr(pipeline, family.denoiser)
    calibration = Calibration.load(Path(arguments["calibration"]))
    files = sorted(Path(arguments["work"]).glob("inputs-*.safetensors"))
    calls = [call for file in files for call in load_calls(file, device)]
    twin = fake_quantised(denoiser, calibration)
    wanted = outputs(denoiser, calls)
    blocks = blocks_of(calibration.layers)
    tell({"step": 0, "total": len(blocks)})
    found = []
    for index, (block, layers) in enumerate(blocks.items()):
        error = alone(denoiser, twin, block, calls, wanted)
        found.append(BlockSensitivity(block=block, layers=layers, relative_error=error))
        tell({"step": index + 1, "total": len(blocks)})
    whole = relative_error(outputs(twin, calls), wanted)
    return Sensitivity(blocks=tuple(found), whole=whole, calls=len(calls))


def blocks_of(layers: Iterable[str]) -> dict[str, int]:
    """The blocks that layers are in, in their order, and how many each has: the first parts of the
    path, with the number where there is one."""
    found: dict[str, int] = {}
    for layer in layers:
        first, *rest = layer.split(".")
        block = f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first
        found[block] = found.get(block, 0) + 1
    return found


def alone(
    denoiser: nn.Module, quantised: nn.Module, block: str, calls: list[Call], wanted: Outputs
) -> float:
    """The error of `denoiser` with one block of its quantised twin in it."""
    parent, _, name = block.rpartition(".")
    place, plain = denoiser.get_submodule(parent), denoiser.get_submodule(block)
    place._modules[name] = quantised.get_submodule(block)
    try:
        return relative_error(outputs(denoiser, calls), wanted)
    finally:
        place._modules[name] = plain


def outputs(denoiser: nn.Module, calls: list[Call]) -> Outputs:
    return [denoiser(**call, return_dict=False)[0].float() for call in calls]


def relative_error(found: Outputs, wanted: Outputs) -> float:
    """Root mean square of the difference over that of `wanted`, over all calls.

    Raises StudioError CALIBRATION_FAILED.
    """
    difference = sum(float((a - b).square().sum()) for a, b in zip(found, wanted, strict=True))
    size = sum(float(one.square().sum()) for one in wanted)
    error = math.sqrt(difference / size) if size else math.nan
    if not math.isfinite(error):
        raise failed("the quantised denoiser's output is not finite")
    return error


if __name__ == "__main__":
    child_main(measure)
