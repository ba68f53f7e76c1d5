"""Which servers can serve which model on this machine, and why not the others."""

from collections.abc import Callable
from dataclasses import dataclass

from backend.chat.client.capabilities import TITLES
from backend.contracts import LanguageModel, ServerChoice, ServerKind
from backend.hardware.capability import NVFP4_CAPABILITIES, target_name
from backend.hardware.gpu import ComputeCapability
from backend.hardware.targets import part_name
from backend.language import Text, text

TRTLLM = frozenset({ServerKind.TENSORRT_LLM, ServerKind.CONTAINER})
BOTH = TRTLLM | {ServerKind.VLLM}
HOPPER = frozenset({(9, 0)})
AMPERE_TO_HOPPER = frozenset({(8, 0), (8, 6), (8, 7), (8, 9), (9, 0)})
ADA_AND_HOPPER = frozenset({(8, 9), (9, 0)})
FP8_PARTS = ADA_AND_HOPPER | NVFP4_CAPABILITIES | {(11, 0)}


@dataclass(frozen=True)
class Format:
    """Where a ModelOpt format runs natively."""

    kinds: frozenset[ServerKind]
    parts: frozenset[ComputeCapability]


MODELOPT_FORMATS: dict[str, Format] = {
    "FP8": Format(BOTH, FP8_PARTS),
    "FP8_PER_CHANNEL_PER_TOKEN": Format(BOTH, HOPPER),
    "FP8_PB_WO": Format(BOTH, HOPPER),
    "NVFP4": Format(BOTH, NVFP4_CAPABILITIES),
    "NVFP4_AWQ": Format(TRTLLM, NVFP4_CAPABILITIES),
    "W4A16_NVFP4": Format(frozenset({ServerKind.VLLM}), NVFP4_CAPABILITIES),
    "W4A8_NVFP4_FP8": Format(TRTLLM, NVFP4_CAPABILITIES),
    "W4A8_MXFP4_FP8": Format(TRTLLM, NVFP4_CAPABILITIES),
    "MXFP4": Format(TRTLLM, NVFP4_CAPABILITIES),
    "MXFP8": Format(BOTH, NVFP4_CAPABILITIES),
    "MIXED_PRECISION": Format(BOTH, NVFP4_CAPABILITIES),
    "W4A16_AWQ": Format(TRTLLM, AMPERE_TO_HOPPER),
    "W4A8_AWQ": Format(TRTLLM, ADA_AND_HOPPER),
}
"""By `quant_algo`, after the support tables of TensorRT-LLM, vLLM and ModelOpt. What is not here
(INT8: the engines of older TensorRT-LLM only; NVFP4_SVD: in no loader's list) no server takes."""


@dataclass(frozen=True)
class Machine:
    """What matters of a machine. `missing` says of each kind of server why it is not there; those
    that are there are not in it."""

    capability: ComputeCapability | None
    total_bytes: int
    missing: dict[ServerKind, Text]


def choices(
    model: LanguageModel, machine: Machine, needed_bytes: Callable[[ServerKind], int]
) -> tuple[ServerChoice, ...]:
    """Every kind of server that the studio can run, in order of preference."""
    return tuple(
        ServerChoice(
            kind=kind,
            title=TITLES[kind],
            possible=reason is None,
            reason=reason or text("server.suitable"),
        )
        for kind in TITLES
        if kind is not ServerKind.OUTSIDE
        for reason in [why_not(kind, model, machine, needed_bytes(kind))]
    )


def why_not(
    kind: ServerKind, model: LanguageModel, machine: Machine, needed_bytes: int
) -> Text | None:
    """Why this kind of server cannot serve the model here; None where it can.

    What never works comes before what only this machine lacks.
    """
    if model.modelopt:
        reason = _modelopt(kind, model, machine.capability)
        if reason is not None:
            return reason
    if kind in BOTH and machine.capability is None:
        return text("server.needs_gpu")
    if kind in TRTLLM and model.simulated:
        return text("server.simulated_elsewhere")
    if kind in machine.missing:
        return machine.missing[kind]
    if needed_bytes > machine.total_bytes:
        return text("server.too_large", needed_bytes=needed_bytes, total_bytes=machine.total_bytes)
    return None


def _modelopt(
    kind: ServerKind, model: LanguageModel, capability: ComputeCapability | None
) -> Text | None:
    if kind is ServerKind.TRANSFORMERS:
        return text("server.no_modelopt")
    algorithm = str(model.algorithm)
    form = MODELOPT_FORMATS.get(algorithm.upper())
    if form is None or kind not in form.kinds:
        return text("server.format_unknown", server=TITLES[kind], algorithm=algorithm)
    if capability is not None and capability not in form.parts:
        part = part_name(target_name(capability))
        parts = ", ".join(part_name(target_name(each)) for each in sorted(form.parts))
        return text("server.format_needs", algorithm=algorithm, part=part, parts=parts)
    return None
