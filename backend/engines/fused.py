"""Which nodes of an ONNX graph became one when ONNX Runtime optimised it."""

import onnx

from backend.contracts import EngineLayer
from backend.engines.network import layers_of

INTEGER_KINDS = ("Integer", "QLinear", "QGemm", "QAttention")
LAYOUT_KIND = "Reorder"
"""ONNX Runtime puts such nodes around what it computes in another memory layout."""


def fused_layers(before: onnx.ModelProto, after: onnx.ModelProto) -> list[EngineLayer]:
    """The layers of `after`, each with the nodes of `before` that it does the work of."""
    parts = fused_parts(before.graph, after.graph)
    owners = {layer.name: layer.layer for layer in layers_of(before)}
    return [
        layer.model_copy(
            update={
                "parts": parts[index],
                "layer": layer.layer
                or next((owners[name] for name in parts[index][::-1] if owners.get(name)), ""),
                "precision": "int8"
                if any(word in layer.kind for word in INTEGER_KINDS)
                else layer.precision,
            }
        )
        for index, layer in enumerate(layers_of(after))
    ]


def fused_parts(before: onnx.GraphProto, after: onnx.GraphProto) -> list[tuple[str, ...]]:
    """For each node of `after`, in order: the names of the nodes of `before` that it replaced.

    An optimiser keeps the names of the values that remain. So what a node stands for is found by
    walking from its outputs back through `before`, as far as the values that `after` still has.
    Nodes whose outputs have new names get their parts from the node that reads them.
    """
    makers = {name: node for node in before.node for name in node.output}
    remaining = {name for node in after.node for name in node.output}
    remaining |= {value.name for value in (*after.initializer, *after.input)}
    place = {node.name: index for index, node in enumerate(before.node)}
    taken: set[str] = set()
    found = []
    for node in after.node:
        known = [name for name in node.output if name in makers]
        found.append(
            sorted(_walk(known, makers, remaining, taken), key=lambda one: place[one.name])
        )
    _pass_back(after, found, {name for node in after.node for name in node.output} - set(makers))
    return [tuple(node.name for node in nodes) for nodes in found]


def _pass_back(
    after: onnx.GraphProto, found: list[list[onnx.NodeProto]], renamed: set[str]
) -> None:
    """Give nodes whose outputs were renamed their parts, out of those of the node that reads them:
    each keeps the last one of its kind and what follows it, and passes on what came before."""
    producers = {name: index for index, node in enumerate(after.node) for name in node.output}
    for index in reversed(range(len(after.node))):
        node, parts = after.node[index], found[index]
        sources = [producers[name] for name in node.input if name in renamed]
        if not sources or not parts:
            continue
        if node.op_type.startswith(LAYOUT_KIND):
            given = parts
        elif node.output[0] in renamed:
            own = [i for i, one in enumerate(parts) if one.op_type in (node.op_type, *_older(node))]
            given = parts[: own[-1]] if own else []
        else:
            kinds = {after.node[source].op_type for source in sources}
            given = [one for one in parts if one.op_type in kinds]
        if given:
            last = given[-1].op_type
            likely = [source for source in sources if after.node[source].op_type == last]
            source = (likely or sources)[0]
            if after.node[source].op_type.startswith(LAYOUT_KIND) and not likely:
                continue
            found[source] = [*found[source], *given]
            found[index] = [one for one in parts if one not in given]
    _share_out(after, found)


def _share_out(after: onnx.GraphProto, found: list[list[onnx.NodeProto]]) -> None:
    """Where paths met, one node may have got several of its kind: those of the nearest that got
    none."""
    for index in reversed(range(len(after.node))):
        kind = after.node[index].op_type
        own = [one for one in found[index] if one.op_type == kind]
        bare = [i for i, node in enumerate(after.node) if node.op_type == kind and not found[i]]
        bare.sort(key=lambda i: abs(i - index))
        for one, other in zip(own[-2::-1], bare):
            found[index].remove(one)
            found[other].append(one)


def _older(node: onnx.NodeProto) -> tuple[str, ...]:
    return ("Resize",) if node.op_type == "Upsample" else ()


def _walk(
    outputs: list[str],
    makers: dict[str, onnx.NodeProto],
    remaining: set[str],
    taken: set[str],
) -> list[onnx.NodeProto]:
    nodes = []
    waiting = list(outputs)
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in taken:
            continue
        taken.add(node.name)
        nodes.append(node)
        waiting += [name for name in node.input if name not in remaining]
    return nodes
