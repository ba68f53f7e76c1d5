import pytest

from backend.contracts import Precision
from backend.hardware.capability import (
    choose_edition,
    cpu_precisions,
    native_precisions,
    parse_target,
    target_name,
)

RTX = (1, 7, 1, 116)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        (None, "fp32 int8"),
        ((7, 0), "fp32 fp16"),
        ((7, 5), "fp32 fp16 int8"),
        ((8, 6), "fp32 fp16 bf16 int8"),
        ((8, 9), "fp32 fp16 bf16 int8 fp8"),
        ((9, 0), "fp32 fp16 bf16 int8 fp8"),
        ((10, 0), "fp32 fp16 bf16 int8 fp8 nvfp4"),
        ((12, 1), "fp32 fp16 bf16 int8 fp8 nvfp4"),
    ],
)
def test_native_precisions(capability, expected):
    assert " ".join(precision.value for precision in native_precisions(capability)) == expected


@pytest.mark.parametrize(("capability", "name"), [((8, 9), "sm89"), ((12, 1), "sm121")])
def test_targets_go_both_ways(capability, name):
    assert target_name(capability) == name
    assert parse_target(name) == capability


@pytest.mark.parametrize("name", ["121", "sm", "sm1", "sm12a", "sm²²", "SM121", ""])
def test_what_is_no_target_is_refused(name):
    with pytest.raises(ValueError, match="named like sm121"):
        parse_target(name)


@pytest.mark.parametrize(
    ("capability", "enterprise", "rtx", "edition", "runs", "reason"),
    [
        ((12, 1), (10, 14, 1, 48), RTX, "enterprise", True, "sm121"),
        ((12, 1), (10, 13, 0), RTX, "rtx", True, "sm121"),
        ((12, 1), (10, 13, 0), None, None, False, "10.14.1"),
        ((12, 1), None, RTX, "rtx", True, "RTX"),
        ((9, 0), None, RTX, None, False, "does not support sm90"),
        ((9, 0), (11, 1), RTX, "enterprise", True, "sm90"),
        ((8, 9), None, None, None, False, "no TensorRT"),
        ((7, 0), (10, 14), RTX, None, False, "does not support sm70"),
        (None, None, RTX, "rtx", False, "without a GPU"),
        (None, (10, 14), None, None, False, "no GPU"),
    ],
)
def test_the_edition_that_fits(capability, enterprise, rtx, edition, runs, reason):
    choice = choose_edition(capability, enterprise, rtx)
    assert (choice.edition, choice.runs) == (edition, runs)
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu sse2 avx2", {Precision.FP32}),
        ("flags\t\t: avx512_fp16 amx_bf16", {Precision.FP32, Precision.FP16, Precision.BF16}),
        ("Features\t: fp asimd asimdhp bf16", {Precision.FP32, Precision.FP16, Precision.BF16}),
        ("model name\t: avx512_fp16", {Precision.FP32}),
    ],
)
def test_a_cpu_tells_what_it_computes_natively(line: str, native: set[Precision]) -> None:
    assert cpu_precisions(f"processor\t: 0\n{line}\n") == native
