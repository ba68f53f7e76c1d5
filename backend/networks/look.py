"""Look into an ONNX file without running it, in a child process."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from backend.contracts import NetworkProblem, NetworkView, Precision, TensorView
from backend.engines.cache import sha256_of
from backend.engines.editions import load_edition, logger_of
from backend.engines.weights import byte_count, graphs, tensors_of
from backend.errors import StudioError
from backend.jobs.children import News, child_main
from backend.networks.files import mark_of, name_of
from backend.networks.graph import external_files, read_graph
from backend.networks.graph import type_name as type_of
from backend.networks.profile import UNKNOWN_RANK, propose

PRECISIONS = {
    TensorProto.FLOAT: Precision.FP32,
    TensorProto.FLOAT16: Precision.FP16,
    TensorProto.BFLOAT16: Precision.BF16,
    TensorProto.INT8: Precision.INT8,
    TensorProto.FLOAT8E4M3FN: Precision.FP8,
    TensorProto.FLOAT4E2M1: Precision.NVFP4,
}
PASSING = frozenset({"Cast", "Clip", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators after which indices are still the same indices."""


def look(arguments: dict[str, Any], tell: News) -> Any:
    """A NetworkView of `file` as data, with `digest` and `mark` of the file and its weights where
    `digest` is asked for.

    `edition` is the TensorRT edition whose parser is to be asked, or None. With `names_only`, the
    names of the files that its weights are in, which need not be there yet. Raises StudioError as
    read_graph does.
    """
    file = Path(arguments["file"])
    if arguments.get("names_only"):
        return external_files(read_graph(file, alone=True))
    model = read_graph(file)
    edition = arguments["edition"]
    view = describe(model, file, edition, problems_of(file, edition) if edition else ())
    found = view.model_dump(mode="json")
    if not arguments.get("digest"):
        return {"view": found}
    return {
        "view": found,
        "digest": digest_of(file, view.external_files),
        "mark": mark_of(file, view.external_files),
    }


def digest_of(file: Path, external: tuple[str, ...]) -> str:
    """What tells this network with its weights from any other."""
    marks = [sha256_of(file), *(sha256_of(file.parent / name) for name in external)]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


def describe(
    model: onnx.ModelProto,
    file: Path,
    edition: str | None,
    problems: tuple[NetworkProblem, ...],
) -> NetworkView:
    weights: Counter[int] = Counter()
    for tensor in tensors_of(model):
        weights[tensor.data_type] += byte_count(tensor)
    nodes = [node for graph in graphs(model.graph) for node in graph.node]
    named = {tensor.name for tensor in model.graph.initializer}
    external = external_files(model)
    rows = table_rows(model.graph)
    inputs = tuple(
        _tensor_view(value, rows) for value in model.graph.input if value.name not in named
    )
    floats = [kind for kind, _ in weights.most_common() if kind in PRECISIONS]
    return NetworkView(
        file=str(file),
        name=name_of(file),
        size_bytes=sum((file.parent / name).stat().st_size for name in (file.name, *external)),
        external_files=external,
        opset=next((each.version for each in model.opset_import if not each.domain), 0),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        precision=PRECISIONS[floats[0]] if floats else Precision.FP32,
        inputs=inputs,
        outputs=tuple(_tensor_view(value, {}) for value in model.graph.output),
        nodes=len(nodes),
        operators=dict(Counter(node.op_type for node in nodes).most_common()),
        weights={type_of(kind): size for kind, size in weights.most_common() if size},
        profile=_proposed(inputs),
        edition=edition,
        problems=problems,
    )


def _proposed(inputs: tuple[TensorView, ...]) -> Any:
    """Nothing where the rank of an input is unknown: only its user can tell."""
    try:
        return propose(inputs)
    except StudioError:
        return ()


def _tensor_view(value: onnx.ValueInfoProto, rows: dict[str, int]) -> TensorView:
    kind = value.type.WhichOneof("value") or ""
    if kind != "tensor_type":
        return TensorView(
            name=value.name, type=kind.removesuffix("_type") or "?", shape=(UNKNOWN_RANK,)
        )
    tensor = value.type.tensor_type
    shape: tuple[int | str, ...] = (UNKNOWN_RANK,)
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
            for dim in tensor.shape.dim
        )
    return TensorView(
        name=value.name, type=type_of(tensor.elem_type), shape=shape, values=rows.get(value.name)
    )


def table_rows(graph: onnx.GraphProto) -> dict[str, int]:
    """Of each value that chooses rows of a constant table: how many rows the smallest one has."""
    tables = {tensor.name: tensor.dims for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    rows: dict[str, int] = {}
    for node in graph.node:
        if node.op_type != "Gather" or not tables.get(node.input[0]):
            continue
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
        name = node.input[1]
        while name in makers and makers[name].op_type in PASSING:
            name = makers[name].input[0]
        count = tables[node.input[0]][axis]
        rows[name] = min(count, rows.get(name, count))
    return rows


def problems_of(file: Path, edition: str) -> tuple[NetworkProblem, ...]:
    """Every node that the parser of a TensorRT edition refuses, by really parsing the file.

    Raises StudioError TENSORRT_MISSING.
    """
    trt = load_edition(edition).api
    said: list[str] = []
    logger = logger_of(trt, said)
    builder = trt.Builder(logger)
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(1 << int(flag) if flag is not None else 0)
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(file)):
        return ()
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    found = tuple(
        NetworkProblem(
            operator=error.node_operator(),
            name=error.node_name(),
            index=error.node(),
            kind=str(error.code().name).lower(),
            reason=error.desc().strip()[:500],
        )
        for error in errors
    )
    last = said[-1].strip()[:500] if said else ""
    return found or (
        NetworkProblem(operator="", name="", index=-1, kind="invalid_graph", reason=last),
    )


if __name__ == "__main__":
    child_main(look)
