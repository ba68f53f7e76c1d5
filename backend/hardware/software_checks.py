"""The doctor's look at what is installed. Versions come from metadata: nothing is imported."""

import re
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from backend.hardware.capability import choose_edition
from backend.hardware.check import Check, fail, ok, warn
from backend.hardware.gpu import Gpu

RTX_BINDINGS = "tensorrt-rtx-cu13-bindings"
RTX_LIBRARIES = "onnxruntime-ep-nv-tensorrt-rtx-cu13"
REPORTED_PACKAGES = (
    "accelerate", "dbos", "diffusers", "fastapi", "gradio", "huggingface_hub", "numpy",
    "nvidia-ml-py", "nvidia-modelopt", "onnx", "onnxruntime", RTX_LIBRARIES, "onnxscript",
    "pydantic", "safetensors", "spark-studio", "sqlalchemy", "tensorrt", "tensorrt_llm",
    RTX_BINDINGS, "torch", "transformers", "uvicorn", "vllm",
)  # fmt: skip
_REINSTALL = "Install again: make clean, then make run"


@dataclass(frozen=True)
class Installed:
    """What software this environment has; None is not installed."""

    torch: str | None
    torch_cuda: str | None
    """CUDA version that torch is built for; None for a CPU build."""
    modelopt: str | None
    transformers: str | None
    tensorrt: str | None
    rtx_bindings: str | None
    rtx_library: str | None
    """Version in the name of TensorRT for RTX's shared library."""


def installed() -> Installed:
    """This environment's software, without importing any of it."""
    return Installed(
        torch=version("torch"),
        torch_cuda=_torch_cuda(),
        modelopt=version("nvidia-modelopt"),
        transformers=version("transformers"),
        tensorrt=version("tensorrt") if find_spec("tensorrt") else None,
        rtx_bindings=version(RTX_BINDINGS) or version("tensorrt-rtx"),
        rtx_library=_rtx_library(),
    )


def version(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def numbers(text: str | None) -> tuple[int, ...] | None:
    """The leading numbers of a version: "10.14.1.48+x" as `(10, 14, 1, 48)`."""
    match = re.match(r"\d+(\.\d+)*", text or "")
    return tuple(int(part) for part in match.group().split(".")) if match else None


def check_torch(software: Installed, gpus: tuple[Gpu, ...]) -> Check:
    if software.torch is None:
        return fail("torch", "PyTorch is not installed", _REINSTALL)
    if software.torch_cuda is not None:
        return ok("torch", f"PyTorch {software.torch} for CUDA {software.torch_cuda}")
    if gpus:
        return warn(
            "torch",
            f"PyTorch {software.torch} is a CPU build, but there is a {gpus[0].name}",
            "Install a CUDA 13 build of the same version into .venv, with the command that"
            " pytorch.org's Get Started page gives; if TORCH_INDEX_URL was set, make clean and"
            " make run without it.",
        )
    return ok("torch", f"PyTorch {software.torch}, CPU build")


def check_tensorrt(software: Installed, gpus: tuple[Gpu, ...]) -> list[Check]:
    """Both editions, and which of them this machine's first GPU should use."""
    capability = gpus[0].compute_capability if gpus else None
    rtx = numbers(software.rtx_bindings)
    choice = choose_edition(capability, numbers(software.tensorrt), rtx)
    detail = f"{choice.edition or 'none'}: {choice.reason}"
    if gpus and choice.edition is None:
        edition = warn(
            "tensorrt_edition",
            detail,
            "Use the torch runtime, or the enterprise edition: pip install -e '.[tensorrt]', or"
            " NVIDIA's container nvcr.io/nvidia/pytorch.",
        )
    else:
        edition = ok("tensorrt_edition", detail)
    return [
        ok("tensorrt", f"TensorRT {software.tensorrt}" if software.tensorrt else "not installed"),
        _check_rtx(software),
        edition,
    ]


def _check_rtx(software: Installed) -> Check:
    name = "tensorrt_rtx"
    bindings, library = numbers(software.rtx_bindings), numbers(software.rtx_library)
    if bindings is None and library is None:
        return ok(name, "not installed")
    if bindings is None or library is None:
        missing = RTX_BINDINGS if bindings is None else RTX_LIBRARIES
        return warn(name, f"{missing} is missing", _REINSTALL)
    if bindings[: len(library)] != library:
        detail = f"bindings {software.rtx_bindings} do not match library {software.rtx_library}"
        return warn(name, detail, _REINSTALL)
    return ok(name, f"TensorRT for RTX {software.rtx_bindings}")


def check_modelopt(software: Installed) -> Check:
    name = "modelopt"
    if software.modelopt is None:
        return fail(name, "NVIDIA ModelOpt is not installed: nothing can be quantised", _REINSTALL)
    transformers = numbers(software.transformers)
    if transformers is None or transformers >= (5, 15):
        return warn(
            name,
            f"ModelOpt {software.modelopt} is not made for transformers {software.transformers}",
            _REINSTALL,
        )
    return ok(name, f"ModelOpt {software.modelopt}")


def _torch_cuda() -> str | None:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        return parse_torch_cuda((Path(spec.origin).parent / "version.py").read_text())
    except OSError:
        return None


def parse_torch_cuda(text: str) -> str | None:
    """The CUDA version in the text of torch/version.py."""
    match = re.search(r"^cuda(?:\s*:[^=]*)?\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    return match.group(1) if match else None


def _rtx_library() -> str | None:
    for package in ("onnxruntime_ep_nv_tensorrt_rtx", "tensorrt_rtx_libs"):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for file in sorted(Path(folder).glob("libtensorrt_rtx.so.*")):
                return file.name.removeprefix("libtensorrt_rtx.so.")
    return None
