"""What a network is run on: random inputs that make sense to it, or those of a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  gives NumPy the names of the small floats
import numpy as np

from backend.contracts import Shape, Shapes, TensorView
from backend.errors import Code, StudioError
from backend.language import Text, Value, text

Array = np.ndarray[Any, Any]
FEW = 8
"""Random whole numbers of which nothing is known stay below this."""


def random_inputs(views: Iterable[TensorView], shapes: Shapes, seed: int) -> dict[str, Array]:
    """Inputs of the tuned shapes, the same for the same seed: rows that a table has for what looks
    one up, ones for masks, counted positions, and else normal values.

    Raises StudioError INPUTS_INVALID for a type that has no numbers.
    """
    generator = np.random.default_rng(seed)
    return {view.name: _random(view, shapes[view.name][1], generator) for view in views}


def _random(view: TensorView, shape: Shape, generator: np.random.Generator) -> Array:
    name = view.name.lower()
    values: Array
    try:
        dtype = np.dtype(view.type)
    except TypeError as error:
        raise invalid("inputs.kind", input=view.name, type=view.type) from error
    if "mask" in name:
        return np.ones(shape, dtype)
    if dtype.kind in "iu":
        if "position" in name:
            counted = np.arange(shape[-1] if shape else 1)
            values = np.broadcast_to(counted % (view.values or counted.size), shape)
        else:
            values = generator.integers(0, view.values or FEW, shape)
    elif dtype.kind == "b":
        values = generator.integers(0, 2, shape)
    elif dtype.kind in "fcV":
        values = generator.standard_normal(shape)
    else:
        raise invalid("inputs.kind", input=view.name, type=view.type)
    return values.astype(dtype)


def inputs_of_file(file: Path, views: Iterable[TensorView]) -> dict[str, Array]:
    """The arrays of an .npz file, checked against what the network takes.

    Raises StudioError INPUTS_INVALID.
    """
    wanted = {view.name: view for view in views}
    try:
        with np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError) as error:
        raise invalid("inputs.unreadable", file=file.name) from error
    for name in found.keys() - wanted.keys():
        raise invalid("inputs.unknown", input=name, inputs=", ".join(wanted))
    for name, view in wanted.items():
        if name not in found:
            raise invalid("inputs.missing", input=name)
        _check(view, found[name])
    return found


def _check(view: TensorView, array: Array) -> None:
    if str(array.dtype) != view.type:
        raise invalid("inputs.type", input=view.name, wanted=view.type, found=str(array.dtype))
    fits = len(array.shape) == len(view.shape) and all(
        isinstance(dim, str) or dim == size
        for dim, size in zip(view.shape, array.shape, strict=True)
    )
    if not fits and "..." not in view.shape:
        wanted, found = ("x".join(map(str, shape)) for shape in (view.shape, array.shape))
        raise invalid("inputs.shape", input=view.name, wanted=wanted, found=found)


def invalid(key: str, **values: Value) -> StudioError:
    problem: Text = text(key, **values)
    return StudioError(Code.INPUTS_INVALID, problem=problem)
