"""From an ONNX file to the one that an engine is built from, in a child process."""

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import external_data_helper, shape_inference
from onnx.inliner import inline_local_functions

from backend.contracts import Precision
from backend.engines.cache import LAYERS, ONNX, data_file
from backend.engines.network import layers_of
from backend.engines.weights import byte_count, graphs, tensors_of
from backend.jobs.children import News, child_main
from backend.networks.casting import cast_network
from backend.networks.graph import read_graph

EXTERNAL_FROM_BYTES = 1 << 30
STEPS = 3


def convert(arguments: dict[str, Any], tell: News) -> str:
    """Write the layers of `file` to `folder`, and the file itself where `precision` asks for other
    types or `copy` for a copy; where the network is then.

    Weights of more than a gibibyte go beside it. Raises StudioError as read_graph does.
    """
    source, folder = Path(arguments["file"]), Path(arguments["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    precision = arguments["precision"]
    made = source
    if precision or arguments["copy"]:
        made = folder / ONNX
        model = read_graph(source)
        if precision:
            model = inline_local_functions(model) if model.functions else model
            kinds = _kinds(shape_inference.infer_shapes(model))
        external_data_helper.load_external_data_for_model(model, str(source.parent))
        tell({"step": 1, "total": STEPS})
        if precision:
            cast_network(model, kinds, Precision(precision))
        save(model, made)
    tell({"step": 2, "total": STEPS})
    network = onnx.load(str(made), load_external_data=False)
    layers = [layer.model_dump(mode="json") for layer in layers_of(network)]
    (folder / LAYERS).write_text(json.dumps(layers), encoding="utf-8")
    tell({"step": STEPS, "total": STEPS})
    return str(made)


def save(model: onnx.ModelProto, file: Path) -> None:
    """Write a network with its weights, which it may lose thereby."""
    weights = data_file(file)
    weights.unlink(missing_ok=True)
    size = sum(byte_count(tensor) for tensor in tensors_of(model))
    external = size > EXTERNAL_FROM_BYTES
    onnx.save(model, str(file), save_as_external_data=external, location=weights.name)


def _kinds(typed: onnx.ModelProto) -> dict[str, int]:
    """The type of every value."""
    return {
        value.name: value.type.tensor_type.elem_type
        for graph in graphs(typed.graph)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }


if __name__ == "__main__":
    child_main(convert)
