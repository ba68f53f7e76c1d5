"""Any ONNX file: where it is, what is in it, and what is made of it."""

from collections.abc import Mapping

from pydantic import Field

from backend.contracts.base import Contract, Precision, Runtime

Shape = tuple[int, ...]
Shapes = Mapping[str, tuple[Shape, Shape, Shape]]
"""Smallest, tuned and largest shape by input."""


class NetworkSource(Contract):
    """Where an ONNX file is: a path on this machine, the name of a file in the home's `onnx_files`,
    or, with `repo`, the name of a file in a Hugging Face repository."""

    file: str
    repo: str | None = None
    revision: str = "main"


class InputShapes(Contract):
    """The shapes of one input that an engine takes; TensorRT tunes for `opt`."""

    name: str
    min: Shape
    opt: Shape
    max: Shape


class LookRequest(Contract):
    source: NetworkSource


class NetworkRequest(Contract):
    """An engine of an ONNX file."""

    source: NetworkSource
    precision: Precision | None = None
    """FP16 or BF16 by conversion; None is as the file says."""
    runtime: Runtime = Runtime.TENSORRT
    target: str | None = None
    """Compute capability to build for, like sm121; None is this machine's GPU, and a DGX Spark's
    where there is none."""
    shapes: tuple[InputShapes, ...] = ()
    """Of inputs whose shapes are to be others than the ones that `NetworkView` proposes."""
    optimization_level: int = 3


class RunRequest(Contract):
    """Run an engine beside the original file in ONNX Runtime."""

    engine: str
    inputs: str | None = None
    """An .npz file of one array an input; None makes random ones of the tuned shapes."""
    seed: int = 0


class LanguageExportRequest(Contract):
    """The ONNX file of a causal language model with its key-value cache."""

    model: str
    """A folder in the layout of transformers, or a Hugging Face repository."""
    revision: str = "main"
    name: str | None = None
    """Of the folder in `onnx_files`; None takes the model's."""


class TextRequest(Contract):
    """Greedy text from an engine of an exported language model, beside that of transformers."""

    engine: str
    prompt: str
    tokens: int = Field(default=20, ge=1, le=4096)


class TensorView(Contract):
    """An input or output of a network."""

    name: str
    type: str
    """`float32`, `int64`, and so on."""
    shape: tuple[int | str, ...]
    """A string is the name of a dimension that is free; one without a name is called `?`."""
    values: int | None = None
    """Of an input that looks up rows of a table: how many rows there are."""


class NetworkProblem(Contract):
    """A node that TensorRT does not take."""

    operator: str
    name: str
    index: int
    """Of the node in the file; -1 where none is to blame."""
    kind: str
    """The parser's error code in lower case, like `unsupported_node_datatype`."""
    reason: str
    """The check that failed, in the parser's own words."""


class NetworkView(Contract):
    """What an ONNX file holds, found without running it."""

    file: str
    name: str
    """What its engines are called after."""
    size_bytes: int
    """With its external data."""
    external_files: tuple[str, ...]
    opset: int
    producer: str
    precision: Precision
    """Of most of its weights."""
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    nodes: int
    operators: dict[str, int]
    """Nodes by operator, the most frequent first."""
    weights: dict[str, int]
    """Bytes of weights by type, the largest first."""
    profile: tuple[InputShapes, ...]
    """The shapes proposed for an engine, of every input."""
    edition: str | None
    """The TensorRT edition that parsed it; None where there is none."""
    problems: tuple[NetworkProblem, ...]
    """What that edition does not take."""


class OutputError(Contract):
    """How far an output of an engine is from the original file's."""

    name: str
    shape: Shape
    max_abs: float
    relative_rms: float
    """Root mean square of the difference over that of the original."""
    not_finite: int
    """Values that are infinite or no numbers in the engine's output and not in the original's."""


class RunResult(Contract):
    engine: str
    inputs: dict[str, Shape]
    outputs: tuple[OutputError, ...]
    reference_ms: float
    """Median of one pass of the original file in ONNX Runtime on the CPU."""
    engine_ms: float
    passes: int
    """Timed passes of each, after warming up."""


class LanguageExportResult(Contract):
    file: str
    size_bytes: int
    relative_error: float
    """Of the file in ONNX Runtime against torch, over a prompt and a step with cache."""


class TextResult(Contract):
    engine: str
    text: str
    tokens: tuple[int, ...]
    reference_tokens: tuple[int, ...]
    """From transformers, in torch."""
    equal: bool
    tokens_per_s: float
