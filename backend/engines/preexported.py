"""Pre-exported ONNX files made ready for the build: checked and described, in a child process.

They are built from where the hub's cache has them. There is no torch module to compare them with;
their manifests say so. Not yet verified on the files themselves: written from the names and shapes
of NVIDIA's pipeline.
"""

import json
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from backend.contracts import EngineProfile, EngineSource, Precision
from backend.engines.cache import LAYERS, sha256_of
from backend.engines.network import NAMES, layers_of
from backend.engines.shapes import profile_sizes
from backend.engines.weights import check_data
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.language import text
from backend.models import preexported
from backend.models.hub_cache import names_in

TOKENS = "L"
"""Prompt tokens: of no range, a model reads one number of them."""
AXES: dict[str, dict[str, tuple[str, ...]]] = {
    "text_encoder": {"input_ids": ("B", "")},
    "text_encoder_2": {"input_ids": ("B", TOKENS)},
    "transformer": {
        "hidden_states": ("B", "T", ""),
        "encoder_hidden_states": ("B", TOKENS, ""),
        "pooled_projections": ("B", ""),
        "timestep": ("B",),
        "img_ids": ("T", ""),
        "txt_ids": (TOKENS, ""),
        "guidance": ("B",),
    },
    "vae_decoder": {"latent": ("B", "", "H", "W")},
}
"""Inputs of each module by name, and what may be dynamic in them: names of
`shapes.dimension_sizes`."""
OPTIONAL = frozenset({"guidance"})
QUANTISED = frozenset({Precision.FP8, Precision.NVFP4})


def take(arguments: dict[str, Any], tell: News) -> list[dict[str, Any]]:
    """Describe each of `modules` as `prepare` does, and write its layers to `<work>/<module>`.

    Arguments: the snapshot's `folder`, its `repo`, `precision`, `profile`, `max_prompt_tokens`,
    `work`. Raises StudioError ONNX_DATA_*, ONNX_UNEXPECTED, PROFILE_INVALID.
    """
    folder, modules = Path(arguments["folder"]), arguments["modules"]
    found = preexported.onnx_files(names_in(folder), Precision(arguments["precision"]))
    done: list[dict[str, Any]] = []
    for module in modules:
        tell({"step": len(done), "total": len(modules), "module": module})
        done.append(_take_one(arguments, module, folder, found[module]))
    tell({"step": len(done), "total": len(modules)})
    return done


def _take_one(arguments: dict[str, Any], module: str, folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    try:
        model = onnx.load(str(file), load_external_data=False)
    except DecodeError as error:
        raise StudioError(
            Code.ONNX_UNEXPECTED, str(error), file=name, problem="it cannot be read as ONNX"
        ) from error
    check_data(model, file.parent)
    profile = EngineProfile.model_validate(arguments["profile"])
    inputs, dynamic = _shapes(model, name, module, profile, arguments["max_prompt_tokens"])
    precision = Precision(arguments["precision"])
    if module == preexported.DENOISER:
        _check_quantised(model, name, precision)
    else:
        precision = _weights_precision(model) or Precision.BF16
    work = Path(arguments["work"]) / module
    work.mkdir(parents=True, exist_ok=True)
    layers = [layer.model_dump(mode="json") for layer in layers_of(model)]
    (work / LAYERS).write_text(json.dumps(layers), encoding="utf-8")
    return {
        "module": module,
        "onnx": str(file),
        "onnx_sha256": sha256_of(file),
        "relative_error": None,
        "check": text("engine.unchecked_preexported").model_dump(),
        "inputs": inputs,
        "dynamic": dynamic,
        "manifest": {
            "precision": str(precision),
            "source": str(EngineSource.PREEXPORTED),
            "onnx_source": f"{arguments['repo']}@{folder.name}/{name}",
        },
    }


def _shapes(
    model: onnx.ModelProto, name: str, module: str, profile: EngineProfile, tokens: int
) -> tuple[dict[str, list[int]], dict[str, list[tuple[int, str]]]]:
    """Every input's shape, 0 where it is dynamic, and the names of its dynamic dimensions.

    Raises StudioError ONNX_UNEXPECTED, and PROFILE_INVALID when the file is fixed to a size that
    is not the profile's only one.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    given = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.input
        if value.name not in weights
    }
    known = AXES[module]
    if not known.keys() - OPTIONAL <= given.keys() <= known.keys():
        problem = f"its inputs are {', '.join(sorted(given))}; known are {', '.join(known)}"
        raise StudioError(Code.ONNX_UNEXPECTED, file=name, problem=problem)
    bounds = profile_sizes(profile)
    shapes: dict[str, list[int]] = {}
    dynamic: dict[str, list[tuple[int, str]]] = {}
    for key, dims in given.items():
        axes = known[key]
        if len(dims) != len(axes) or any(not d and not a for d, a in zip(dims, axes, strict=True)):
            raise StudioError(
                Code.ONNX_UNEXPECTED, file=name, problem=f"its input {key} has the shape {dims}"
            )
        for size, axis in zip(dims, axes, strict=True):
            if size and axis == TOKENS and size != tokens:
                problem = f"its input {key} takes {size} prompt tokens; the model reads {tokens}"
                raise StudioError(Code.ONNX_UNEXPECTED, file=name, problem=problem)
            if size and axis and {one[axis] for one in bounds if axis in one} - {size}:
                problem = f"{name} takes only {size} for {axis} of {key}"
                raise StudioError(Code.PROFILE_INVALID, problem=problem)
        shapes[key] = [
            tokens if axis == TOKENS and not size else size
            for size, axis in zip(dims, axes, strict=True)
        ]
        dynamic[key] = [
            (index, axis)
            for index, (size, axis) in enumerate(zip(dims, axes, strict=True))
            if not size and axis != TOKENS
        ]
    return shapes, dynamic


def _check_quantised(model: onnx.ModelProto, name: str, precision: Precision) -> None:
    """Raises StudioError ONNX_UNEXPECTED when a quantised file quantises nothing, or a plain one
    does."""
    quantises = any(
        node.op_type.endswith(("QuantizeLinear", "DynamicQuantize")) for node in model.graph.node
    )
    if quantises is not (precision in QUANTISED):
        problem = f"it was to be {precision.upper()}, and {'does' if quantises else 'does not'}"
        raise StudioError(Code.ONNX_UNEXPECTED, file=name, problem=f"{problem} quantise")


def _weights_precision(model: onnx.ModelProto) -> Precision | None:
    """The type that most of the weights have."""
    sizes: dict[str, int] = {}
    for tensor in model.graph.initializer:
        name = NAMES.get(tensor.data_type, "")
        if name in set(Precision):
            count = 1
            for dim in tensor.dims:
                count *= dim
            sizes[name] = sizes.get(name, 0) + count
    return Precision(max(sizes, key=lambda name: sizes[name])) if sizes else None


if __name__ == "__main__":
    child_main(take)
