"""From a torch module to an ONNX file, and the proof that both compute the same."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.passes import common
from onnxscript import optimizer

from backend.engines.cache import data_file
from backend.engines.modules import ExportModule

OPSET = 20
"""Of the plain export: the newest whose attention comes out as matrix products, which every
TensorRT parses and which can be quantised one by one (docs/notes.md)."""
LARGEST_DIMENSION = {"B": 64, "G": 64, "T": 65536, "H": 2048, "W": 2048}


def export(source: ExportModule, file: Path) -> None:
    """Write `source` with dynamic dimensions to `file`, its weights one at a time to the data file
    beside it. Raises what torch.onnx raises, OSError."""
    dims = {
        name: torch.export.Dim(name, min=1, max=LARGEST_DIMENSION[name])
        for name in {name for axes in source.dynamic.values() for name in axes.values()}
    }
    shapes = {
        name: {axis: dims[dim] for axis, dim in axes.items()}
        for name, axes in source.dynamic.items()
    }
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
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model = _tidied(program.model)
    _transpose_when_saved(model.graph)
    ir.save(model, file, external_data=data_file(file).name)


def _tidied(model: ir.Model) -> ir.Model:
    """What the exporter does by itself, but for its rewrite rules: those take a third of the time
    and change nothing that TensorRT and ONNX Runtime do not do when they load a graph."""
    model = common.InlinePass()(model).model
    optimizer.fold_constants_ir(
        model, onnx_shape_inference=True, should_fold=_unless_transposed_weight
    )
    for tidy in (
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    ):
        model = tidy(model).model
    return model


def _transposed_weight(node: ir.Node) -> ir.Value | None:
    value = node.inputs[0] if node.op_type == "Transpose" else None
    return value if value is not None and value.is_initializer() else None


def _unless_transposed_weight(node: ir.Node) -> bool | None:
    """The exporter would transpose all weights at once, a second copy of the model in memory."""
    return None if _transposed_weight(node) is None else False


def _transpose_when_saved(graph: ir.Graph) -> None:
    """Put weights that are transposed at the time they are written in the place of Transpose
    nodes, so that products have weights (in, out)."""
    for node in tuple(graph):
        weight = _transposed_weight(node)
        if weight is None:
            continue
        given = node.attributes.get_ints("perm")
        order = given or tuple(reversed(range(len(weight.shape or ()))))
        name = f"{weight.name}.transposed.{'_'.join(map(str, order))}"
        if name not in graph.initializers:
            graph.register_initializer(_transposed(weight, tuple(order), name))
        ir.convenience.replace_all_uses_with(node.outputs[0], graph.initializers[name])
        graph.remove(node, safe=True)
        if not weight.uses():
            del graph.initializers[str(weight.name)]


def _transposed(weight: ir.Value, order: tuple[int, ...], name: str) -> ir.Value:
    tensor = weight.const_value
    assert tensor is not None
    shape = ir.Shape([int(tensor.shape.numpy()[axis]) for axis in order])

    def values() -> ir.Tensor[np.ndarray]:
        plain = np.ascontiguousarray(tensor.numpy().transpose(order))
        return ir.Tensor(plain, dtype=tensor.dtype)

    lazy = ir.LazyTensor(values, dtype=tensor.dtype, shape=shape, name=name)
    return ir.Value(name=name, shape=shape, type=ir.TensorType(tensor.dtype), const_value=lazy)
