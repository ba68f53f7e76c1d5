"""Run a finished TensorRT engine once on its GPU against what torch made, in a child process.

Not yet verified on hardware, as runtimes/trt.py.
"""

from pathlib import Path
from typing import Any

import torch

from backend.engines.check import load_reference, relative_error
from backend.engines.runtimes import trt
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main


def validate(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """The relative error of the engine in `plan` on the inputs of `reference`, cut to the batch
    that `shapes` (min, opt, max by input) allow.

    Raises StudioError ENGINE_BROKEN when it cannot be loaded or run, or what it computes is not
    finite.
    """
    plan = Path(arguments["plan"])
    known = load_reference(Path(arguments["reference"]), 0.0)
    device = torch.device("cuda", 0)
    inputs, share = cut_to_batch(known.inputs, arguments["shapes"])
    wanted = tuple(out[: max(1, int(out.shape[0] * share))] for out in known.outputs)
    made = trt.load(plan, arguments["edition"], device)(inputs)
    found = tuple(out.float().cpu() for out in made)
    if not all(bool(out.isfinite().all()) for out in found):
        problem = "its results are not finite"
        raise StudioError(Code.ENGINE_BROKEN, engine=arguments["engine"], problem=problem)
    return {"relative_error": relative_error(found, wanted)}


def cut_to_batch(
    inputs: dict[str, torch.Tensor], shapes: dict[str, list[list[int]]]
) -> tuple[dict[str, torch.Tensor], float]:
    """The first rows of inputs that have more than an engine takes, and their share of all. Only
    the batch is cut: other dimensions of the examples lie within the profile."""
    share = min(
        [1.0]
        + [
            shapes[name][2][0] / tensor.shape[0]
            for name, tensor in inputs.items()
            if shapes[name][2][0] < tensor.shape[0] and shapes[name][0][0] < tensor.shape[0]
        ]
    )
    cut = {
        name: tensor[: int(tensor.shape[0] * share)]
        if shapes[name][2][0] < tensor.shape[0]
        else tensor
        for name, tensor in inputs.items()
    }
    return cut, share


if __name__ == "__main__":
    child_main(validate)
