"""The proof that an ONNX file computes what its torch module does, and what is needed for it."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from safetensors.torch import load_file, save_file

from backend.contracts import Precision
from backend.engines.cache import data_file
from backend.engines.modules import ExportModule
from backend.engines.runtimes import ort
from backend.engines.weights import WeightWriter, load_graph
from backend.engines.widen import widened
from backend.errors import Code, StudioError
from backend.quantize.calibration import Calibration
from backend.quantize.fake import fake_quantised

WORST_ERROR = {Precision.FP32: 1e-3, Precision.BF16: 1e-3, Precision.FP16: 2e-2}
"""A plain export with a larger relative error is wrong, not rounded. FP16 files are run in FP16,
BF16 ones widened to FP32."""
WORST_QUANTISED = 1.5
"""How much more error than its reference in torch a quantised export may have: where values sit
between two steps, the two round differently, and later layers make more of it."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Reference:
    """Real inputs of a module and what it makes of them, computed in FP32 from the weights that
    the file has. `allowed` is the relative error that rounding can explain."""

    inputs: Tensors
    outputs: tuple[torch.Tensor, ...]
    allowed: float

    def save(self, file: Path) -> None:
        tensors = {f"input.{name}": tensor.contiguous() for name, tensor in self.inputs.items()}
        tensors |= {f"output.{i}": out.contiguous() for i, out in enumerate(self.outputs)}
        save_file(tensors, file, {"allowed": str(self.allowed)})


def load_reference(file: Path, allowed: float) -> Reference:
    tensors = load_file(file)
    outputs = [tensors[f"output.{i}"] for i in range(sum(n.startswith("output.") for n in tensors))]
    inputs = {n.removeprefix("input."): t for n, t in tensors.items() if n.startswith("input.")}
    return Reference(inputs, tuple(outputs), allowed)


def outputs(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        out = module(**inputs)
    return (out,) if isinstance(out, torch.Tensor) else tuple(out)


def relative_error(found: tuple[torch.Tensor, ...], wanted: tuple[torch.Tensor, ...]) -> float:
    """Root mean square of the difference over that of `wanted`, of the worst output."""
    return max(
        float((a.float() - b.float()).square().mean().sqrt() / b.float().square().mean().sqrt())
        for a, b in zip(found, wanted, strict=True)
    )


def reference(source: ExportModule, base: Precision, calibration: Calibration | None) -> Reference:
    """What the file of `source` must compute. Leaves the module in FP32.

    Raises what fake_quantised raises.
    """
    module, inputs = source.module.float(), _wide(source.inputs)
    wanted = outputs(module, inputs)
    allowed = WORST_ERROR[base]
    if calibration is not None:
        quantised = copy(module)
        quantised._modules = {"model": fake_quantised(module.get_submodule("model"), calibration)}
        allowed += WORST_QUANTISED * relative_error(outputs(quantised, inputs), wanted)
    return Reference(source.inputs, wanted, allowed)


def check(
    module: str, file: Path, base: Precision, precision: Precision, known: Reference
) -> tuple[float, str]:
    """The relative error of `file`, and how it was run: `onnxruntime` as it is, `widened` to FP32
    where ONNX Runtime lacks kernels, `dequantised` from packed NVFP4.

    Raises StudioError EXPORT_DIFFERS when the error is more than rounding can explain.
    """
    how = method(base, precision)
    if how == "onnxruntime":
        int8 = precision is Precision.INT8
        found = ort.load(file, int8, lean=True)(known.inputs)
    else:
        found = _run_widened(file, _wide(known.inputs))
    error = relative_error(found, known.outputs)
    if not error <= known.allowed:
        raise StudioError(
            Code.EXPORT_DIFFERS,
            module=module,
            error=f"{error:.1e}",
            allowed=f"{known.allowed:.1e}",
        )
    return error, how


def method(base: Precision, precision: Precision) -> str:
    """How a file is checked, see `check`."""
    if precision is Precision.NVFP4:
        return "dequantised"
    as_it_is = base is Precision.FP32 or (base is Precision.FP16 and precision is base)
    return "onnxruntime" if as_it_is else "widened"


def _wide(tensors: Tensors) -> Tensors:
    return {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}


def _run_widened(file: Path, inputs: Tensors) -> tuple[torch.Tensor, ...]:
    wide = file.with_name("check.onnx")
    try:
        with WeightWriter(wide) as writer:
            model = widened(load_graph(file), file.parent, writer)
        onnx.save(model, str(wide))
        return ort.load(wide, int8=False, lean=True)(inputs)
    finally:
        wide.unlink(missing_ok=True)
        data_file(wide).unlink(missing_ok=True)
