"""From a torch module to an ONNX file, and the proof that both compute the same."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from backend.engines.modules import ExportModule

OPSET = 20
"""Of the plain export: the newest whose attention comes out as matrix products, which every
TensorRT parses and which can be quantised one by one (docs/notes.md)."""
LARGEST_DIMENSION = {"B": 64, "T": 65536, "H": 2048, "W": 2048}
EXTERNAL_DATA_BYTES = 1 << 30


def export(source: ExportModule, file: Path) -> None:
    """Write `source` with dynamic dimensions to `file`, and its weights beside it when they are
    more than a gibibyte. Raises what torch.onnx raises."""
    dims = {
        name: torch.export.Dim(name, min=1, max=LARGEST_DIMENSION[name])
        for name in {name for axes in source.dynamic.values() for name in axes.values()}
    }
    shapes = {
        name: {axis: dims[dim] for axis, dim in axes.items()}
        for name, axes in source.dynamic.items()
    }
    weights = sum(p.numel() * p.element_size() for p in source.module.parameters())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            source.module.eval(),
            (),
            kwargs=dict(source.inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(source.inputs),
            output_names=list(source.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    program.save(str(file), external_data=weights > EXTERNAL_DATA_BYTES)


def outputs(module: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        out = module(**inputs)
    return (out,) if isinstance(out, torch.Tensor) else tuple(out)


def relative_error(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> float:
    """Root mean square of the difference over that of `wanted`, of the worst output."""
    return max(
        float((a.float() - b.float()).square().mean().sqrt() / b.float().square().mean().sqrt())
        for a, b in zip(found, wanted, strict=True)
    )
