"""The shapes that an engine of an ONNX file takes: proposed, read, and checked against the file."""

import ast
import operator
import re
from collections.abc import Iterable, Mapping

from backend.contracts import InputShapes, NetworkView, Shapes, TensorView
from backend.errors import Code, StudioError
from backend.language import Value, text

Sizes = tuple[int, int, int]
"""Smallest, tuned and largest size of a dimension."""

PAST: Sizes = (0, 64, 256)
BATCH: Sizes = (1, 1, 4)
SIDE: Sizes = (64, 256, 512)
LENGTH: Sizes = (1, 64, 256)
PICTURE_RANK = 4
UNKNOWN_RANK = "..."
_OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul}
"""A minus is more often a hyphen."""


def parse_shapes(given: str) -> tuple[InputShapes, ...]:
    """`ids=1x1:1x64:4x256,mask=2x8` as shapes; one shape alone is all three.

    Raises StudioError PROFILE_INVALID.
    """
    return tuple(_parse_one(part) for part in given.replace(" ", "").split(",") if part)


def _parse_one(part: str) -> InputShapes:
    name, equals, rest = part.rpartition("=")
    words = rest.split(":")
    whole = all(re.fullmatch(r"\d+(x\d+)*|", word) for word in words)
    if not (name and equals and whole and len(words) in (1, 3)):
        raise invalid("profile.unreadable", part=part)
    shapes = [tuple(int(side) for side in word.split("x") if side) for word in words]
    low, opt, high = shapes * 3 if len(shapes) == 1 else shapes
    return InputShapes(name=name, min=low, opt=opt, max=high)


def invalid(key: str, **values: Value) -> StudioError:
    return StudioError(Code.PROFILE_INVALID, problem=text(key, **values))


def check_order(shapes: Iterable[InputShapes]) -> None:
    """What can be said without the file. Raises StudioError PROFILE_INVALID."""
    names: set[str] = set()
    for each in shapes:
        if each.name in names:
            raise invalid("profile.twice", input=each.name)
        names.add(each.name)
        if not len(each.min) == len(each.opt) == len(each.max):
            raise invalid("profile.ranks_differ", input=each.name)
        for sizes in zip(each.min, each.opt, each.max, strict=True):
            if not 0 <= sizes[0] <= sizes[1] <= sizes[2]:
                words = ":".join(str(size) for size in sizes)
                raise invalid("profile.order", input=each.name, sizes=words)


def propose(
    inputs: Iterable[TensorView], given: Iterable[InputShapes] = ()
) -> tuple[InputShapes, ...]:
    """Shapes of every input: those given, and sensible ones of the same named sizes for the rest.

    Raises StudioError PROFILE_INVALID when what is given contradicts itself or the file.
    """
    views = {view.name: view for view in inputs}
    listed = tuple(given)
    check_order(listed)
    asked = {each.name: each for each in listed}
    known: dict[str, tuple[str, Sizes]] = {}
    for name, each in asked.items():
        if name not in views:
            raise invalid("profile.unknown_input", input=name, inputs=", ".join(views))
        _match(views[name], each, known)
    sizes = {dim: found for dim, (_, found) in known.items()}
    proposed = tuple(asked.get(view.name) or _propose(view, sizes) for view in views.values())
    _check_sums(views, proposed)
    return proposed


def free_dimensions(view: NetworkView) -> dict[str, Sizes]:
    """The proposed sizes of every free dimension: by its name, or as `input[axis]` where it has
    none. Sums follow from their parts."""
    shapes = as_shapes(view.profile)
    found: dict[str, Sizes] = {}
    for each in view.inputs:
        for axis, dim in enumerate(each.shape):
            if isinstance(dim, str) and each.name in shapes and not _is_sum(dim):
                low, opt, high = shapes[each.name]
                found.setdefault(_key(each.name, axis, dim), (low[axis], opt[axis], high[axis]))
    return found


def shapes_of(view: NetworkView, sizes: Mapping[str, Sizes]) -> tuple[InputShapes, ...]:
    """Shapes of every input for the sizes of free dimensions, as `free_dimensions` names them.

    Raises StudioError PROFILE_INVALID.
    """
    known = free_dimensions(view) | dict(sizes)
    proposed = {each.name: (each.min, each.opt, each.max) for each in view.profile}
    made = []
    for each in view.inputs:
        if each.shape == (UNKNOWN_RANK,):
            raise invalid("profile.unknown_rank", input=each.name)
    for each in view.inputs:
        low, opt, high = proposed[each.name]
        found = [
            _evaluate(str(dim), known) or known.get(_key(each.name, axis, str(dim))) or before
            for axis, (dim, *before) in enumerate(zip(each.shape, low, opt, high, strict=True))
        ]
        low, opt, high = zip(*found, strict=True) if found else ((), (), ())
        made.append(InputShapes(name=each.name, min=low, opt=opt, max=high))
    check_order(made)
    return tuple(made)


def _is_sum(dimension: str) -> bool:
    return not dimension.isidentifier() and any(sign in dimension for sign in "+*")


def _key(name: str, axis: int, dimension: str) -> str:
    return dimension if dimension.isidentifier() else f"{name}[{axis}]"


def as_shapes(profile: Iterable[InputShapes]) -> Shapes:
    return {each.name: (each.min, each.opt, each.max) for each in profile}


def _match(view: TensorView, given: InputShapes, known: dict[str, tuple[str, Sizes]]) -> None:
    """Check shapes against the file, and add the named sizes that they give to `known`."""
    if view.shape == (UNKNOWN_RANK,):
        return
    if len(given.opt) != len(view.shape):
        shape = "x".join(str(dim) for dim in view.shape)
        raise invalid("profile.rank", input=view.name, shape=shape, rank=len(given.opt))
    for axis, dim in enumerate(view.shape):
        sizes = (given.min[axis], given.opt[axis], given.max[axis])
        if isinstance(dim, int):
            if set(sizes) != {dim}:
                raise invalid("profile.fixed", input=view.name, axis=axis, size=dim)
        elif dim.isidentifier():
            other, before = known.setdefault(dim, (view.name, sizes))
            if before != sizes:
                raise invalid("profile.named", dimension=dim, input=view.name, other=other)


def _propose(view: TensorView, sizes: dict[str, Sizes]) -> InputShapes:
    found = []
    for axis, dim in enumerate(view.shape):
        if isinstance(dim, int):
            found.append((dim, dim, dim))
            continue
        if dim == UNKNOWN_RANK:
            raise invalid("profile.unknown_rank", input=view.name)
        for name in re.findall(r"[^\W\d]\w*", dim):
            sizes.setdefault(name, _guess(name, axis, len(view.shape)))
        found.append(_evaluate(dim, sizes) or _guess(dim, axis, len(view.shape)))
    low, opt, high = zip(*found, strict=True) if found else ((), (), ())
    return InputShapes(name=view.name, min=low, opt=opt, max=high)


def _guess(name: str, axis: int, rank: int) -> Sizes:
    """What people mean by a free dimension of this name, at this place."""
    lower = name.lower()
    if "past" in lower or "cache" in lower:
        return PAST
    if "batch" in lower:
        return BATCH
    if any(word in lower for word in ("seq", "len", "token")):
        return LENGTH
    if lower in ("h", "w", "height", "width") or (rank == PICTURE_RANK and axis >= rank - 2):
        return SIDE
    return LENGTH if axis else BATCH


def _evaluate(dimension: str, sizes: Mapping[str, Sizes]) -> Sizes | None:
    """Sizes of a dimension that is a name, or sums and products of some like `past + sequence`."""

    def value(node: ast.expr, bound: int) -> int:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return int(_OPERATORS[type(node.op)](value(node.left, bound), value(node.right, bound)))
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in sizes:
            return sizes[node.id][bound]
        raise ValueError(dimension)

    try:
        tree = ast.parse(dimension, mode="eval").body
        return (value(tree, 0), value(tree, 1), value(tree, 2))
    except (SyntaxError, ValueError):
        return None


def _check_sums(views: dict[str, TensorView], profile: tuple[InputShapes, ...]) -> None:
    """A dimension that the file says to be a sum must be one in the tuned shapes."""
    sizes: dict[str, Sizes] = {}
    places = []
    for each in profile:
        for axis, dim in enumerate(views[each.name].shape):
            if isinstance(dim, str) and axis < len(each.opt):
                found = (each.min[axis], each.opt[axis], each.max[axis])
                places.append((each.name, dim, found))
                if dim.isidentifier():
                    sizes[dim] = found
    for name, dim, found in places:
        wanted = _evaluate(dim, sizes)
        if wanted is not None and wanted[1] != found[1]:
            raise invalid("profile.sum", input=name, dimension=dim, size=found[1], sum=wanted[1])
