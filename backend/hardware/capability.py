"""What a GPU can do, from its compute capability alone."""

from dataclasses import dataclass
from typing import Literal

from backend.contracts import Precision
from backend.hardware.gpu import ComputeCapability

Edition = Literal["enterprise", "rtx"]

NVFP4_CAPABILITIES = frozenset({(10, 0), (10, 3), (12, 0), (12, 1)})
RTX_EDITION_CAPABILITIES = frozenset({(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)})
"""What TensorRT for RTX 1.7 builds for and runs on; Hopper is not among them."""
ENTERPRISE_SINCE: dict[ComputeCapability, tuple[int, int, int]] = {(12, 1): (10, 14, 1)}
"""The release of TensorRT that a part needs at least (GB10: TensorRT's release notes)."""


@dataclass(frozen=True)
class EditionChoice:
    """Which TensorRT edition to use on a GPU, and why."""

    edition: Edition | None
    runs: bool
    """Whether engines run here; without a GPU they can only be built."""
    reason: str


_CPU_FLAGS = {
    Precision.FP16: frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
    Precision.BF16: frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
}
"""Names in Linux's /proc/cpuinfo of the instructions that compute a precision (x86-64, Arm)."""


def cpu_precisions(cpuinfo: str) -> frozenset[Precision]:
    """What a CPU computes natively, from the text of its /proc/cpuinfo; others it emulates."""
    flags = {
        flag
        for line in cpuinfo.splitlines()
        if line.partition(":")[0].strip() in ("flags", "Features")
        for flag in line.partition(":")[2].split()
    }
    native = {precision for precision, names in _CPU_FLAGS.items() if names & flags}
    return frozenset({Precision.FP32, *native})


def target_name(capability: ComputeCapability) -> str:
    """`(12, 1)` as "sm121"."""
    return f"sm{capability[0]}{capability[1]}"


def parse_target(name: str) -> ComputeCapability:
    """ "sm121" as `(12, 1)`. ValueError if `name` is not such a name."""
    digits = name.removeprefix("sm")
    if digits == name or not digits.isascii() or not digits.isdigit() or len(digits) < 2:
        raise ValueError(f"A target is named like sm121, not {name!r}")
    return int(digits[:-1]), int(digits[-1])


def native_precisions(capability: ComputeCapability | None) -> tuple[Precision, ...]:
    """The precisions whose arithmetic the hardware itself does, most exact first.

    `None` is a machine without a GPU: CPUs add and multiply in FP32 and INT8, and only emulate
    the shorter floats. A weight-only precision (INT4) is arithmetic nowhere, so it is never here.
    """
    if capability is None:
        return (Precision.FP32, Precision.INT8)
    rules = (
        (Precision.FP32, True),
        (Precision.FP16, True),
        (Precision.BF16, capability >= (8, 0)),
        (Precision.INT8, capability >= (7, 5)),
        (Precision.FP8, capability >= (8, 9)),
        (Precision.NVFP4, capability in NVFP4_CAPABILITIES),
    )
    return tuple(precision for precision, native in rules if native)


def choose_edition(
    capability: ComputeCapability | None,
    enterprise: tuple[int, ...] | None,
    rtx: tuple[int, ...] | None,
) -> EditionChoice:
    """The TensorRT edition that fits a GPU, from the versions installed (None: not installed).

    The enterprise edition is preferred wherever it supports the part.
    """
    if capability is None:
        if rtx is not None:
            reason = "without a GPU, TensorRT for RTX builds engines for others and runs none"
            return EditionChoice("rtx", runs=False, reason=reason)
        return EditionChoice(None, runs=False, reason="there is no GPU to build for")
    target = target_name(capability)
    since = ENTERPRISE_SINCE.get(capability, (0,))
    if enterprise is not None and enterprise >= since and capability >= (7, 5):
        return EditionChoice("enterprise", runs=True, reason=f"TensorRT is installed for {target}")
    if rtx is not None and capability in RTX_EDITION_CAPABILITIES:
        return EditionChoice("rtx", runs=True, reason=f"TensorRT for RTX supports {target}")
    if enterprise is not None and enterprise < since:
        needed = ".".join(map(str, since))
        reason = f"{target} needs TensorRT {needed} or newer"
    elif rtx is not None:
        reason = f"TensorRT for RTX does not support {target}; the enterprise edition may"
    else:
        reason = "no TensorRT is installed"
    return EditionChoice(None, runs=False, reason=reason)
