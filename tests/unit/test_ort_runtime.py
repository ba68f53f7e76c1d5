"""What is asked of ONNX Runtime beside running a file."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from backend.engines.runtimes.ort import input_types, node_times, open_session, run_session

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "bool": TensorProto.BOOL}


def test_inputs_of_every_type_are_named_as_numpy_does_and_every_node_is_timed(
    tmp_path: Path,
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"], name) for name in TYPES],
        "types",
        [helper.make_tensor_value_info(name, kind, [2]) for name, kind in TYPES.items()],
        [helper.make_tensor_value_info(f"{name}_out", kind, [2]) for name, kind in TYPES.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx", int8=False, profile=tmp_path / "times")
    assert input_types(session) == {name: name for name in TYPES}
    inputs = {name: np.zeros(2, name) for name in TYPES}
    for _ in range(3):
        run_session(session, inputs)
    assert {name: len(each) for name, each in node_times(session).items()} == dict.fromkeys(
        TYPES, 3
    )
