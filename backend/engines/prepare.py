"""From a model's folder to the ONNX files that its engines are built from, in a child process."""

import json
from copy import copy
from pathlib import Path
from typing import Any

import onnx
import torch

from backend.contracts import Precision
from backend.engines.cache import LAYERS, sha256_of
from backend.engines.export import export, outputs, relative_error
from backend.engines.lower import lower
from backend.engines.modules import ExportModule, modules_of
from backend.engines.network import layers_of
from backend.engines.runtimes import ort
from backend.errors import Code, StudioError
from backend.images.pipeline import load_pipeline
from backend.jobs.children import News, child_main
from backend.quantize.calibration import Calibration
from backend.quantize.fake import fake_quantised

WORST_ERROR = 1e-3
"""A plain export with a larger relative error is wrong, not rounded."""
WORST_QUANTISED = 1.5
"""How much more error than its reference in torch a quantised export may have: where values sit
between two steps, the two round differently, and later layers make more of it."""


def prepare(arguments: dict[str, Any], tell: News) -> list[dict[str, Any]]:
    """Write `<work>/<module>/model.onnx` and its layers for each of `modules`.

    Each module names its `base` precision, that of the plain export, and its `precision`; plain
    exports are kept in `exports` and used again. Raises StudioError EXPORT_DIFFERS and what
    load_pipeline and Calibration.load raise.
    """
    wanted: list[dict[str, str]] = arguments["modules"]
    done: list[dict[str, Any]] = []
    for base in dict.fromkeys(one["base"] for one in wanted):
        pipeline = load_pipeline(
            Path(arguments["folder"]), arguments["model"], Precision(base), torch.device("cpu")
        )
        sources = modules_of(pipeline, *arguments["sample_size"])
        for one in (one for one in wanted if one["base"] == base):
            tell({"step": len(done), "total": len(wanted), "module": one["module"]})
            done.append(_prepare_one(arguments, sources[one["module"]], one))
    tell({"step": len(done), "total": len(wanted)})
    return done


def _prepare_one(
    arguments: dict[str, Any], source: ExportModule, one: dict[str, str]
) -> dict[str, Any]:
    base, precision = Precision(one["base"]), Precision(one["precision"])
    plain = Path(arguments["exports"]) / f"{source.name}.{base}.onnx"
    if not plain.exists():
        plain.parent.mkdir(parents=True, exist_ok=True)
        unfinished = plain.with_suffix(".part")
        export(source, unfinished)
        unfinished.replace(plain)
    file = Path(arguments["work"]) / source.name / "model.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    model = onnx.load(str(plain))
    calibration = None
    if precision is not base:
        calibration = Calibration.load(Path(arguments["calibration"]))
        model = lower(model, source.prefix, calibration)
    onnx.save(model, str(file))
    error = None
    if base is Precision.FP32 and precision is not Precision.NVFP4:
        error = _checked_error(source, calibration, ort.load(file, precision is Precision.INT8))
    layers = [layer.model_dump(mode="json") for layer in layers_of(model, source.prefix)]
    (file.parent / LAYERS).write_text(json.dumps(layers), encoding="utf-8")
    return {
        "module": source.name,
        "onnx_sha256": sha256_of(file),
        "relative_error": error,
        "inputs": {name: list(tensor.shape) for name, tensor in source.inputs.items()},
        "dynamic": {name: list(axes.items()) for name, axes in source.dynamic.items()},
    }


def _checked_error(source: ExportModule, calibration: Calibration | None, run: ort.Run) -> float:
    """The file's relative error against torch on the example inputs.

    Raises StudioError EXPORT_DIFFERS when it is more than that of the same quantisation in torch
    can explain.
    """
    wanted = outputs(source.module, source.inputs)
    error = relative_error(run(source.inputs), wanted)
    allowed = WORST_ERROR
    if calibration is not None:
        quantised = copy(source.module)
        quantised._modules = {
            "model": fake_quantised(source.module.get_submodule("model"), calibration)
        }
        expected = relative_error(outputs(quantised, source.inputs), wanted)
        allowed += WORST_QUANTISED * expected
    if not error <= allowed:
        raise StudioError(
            Code.EXPORT_DIFFERS, module=source.name, error=f"{error:.1e}", allowed=f"{allowed:.1e}"
        )
    return error


if __name__ == "__main__":
    child_main(prepare)
