"""The ONNX files that the makers of FLUX.1 offer ready: where they are and how they are laid out.

`black-forest-labs/FLUX.1-*-onnx` hold, as of 2026, `clip.opt/`, `t5.opt/`, `vae.opt/` and
`transformer.opt/{bf16,fp8,fp4}/`, each a `model.onnx`, with its weights beside it as
`backbone.onnx_data` where they are large. Inputs and outputs have the names of NVIDIA's pipeline,
which are ours. Names are matched rather than known: a folder's ONNX file may have any name, and all
that lies beside it is taken with it.
"""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from backend.contracts import Precision
from backend.models.layouts import Layout

REPOS = {
    "flux.1-dev": "black-forest-labs/FLUX.1-dev-onnx",
    "flux.1-schnell": "black-forest-labs/FLUX.1-schnell-onnx",
}
"""By model."""
PRECISIONS = {Precision.BF16: "bf16", Precision.FP8: "fp8", Precision.NVFP4: "fp4"}
"""Those of the denoiser, and the names of their folders."""
DENOISER = "transformer"
MODULES = {
    "text_encoder": r"clip(\.opt)?",
    "text_encoder_2": r"t5(\.opt)?",
    DENOISER: r"transformer(\.opt)?/{precision}",
    "vae_decoder": r"vae(\.opt)?",
}
"""Of each module, the pattern of its folder."""


def exists_for(model: str, precision: Precision) -> bool:
    return model in REPOS and precision in PRECISIONS


def module_precisions(precision: Precision) -> dict[str, tuple[Precision, Precision]]:
    """Of each module the precision of its ONNX, which is that of its engine; twice, as
    a family has it."""
    plain = dict.fromkeys(MODULES, Precision.BF16) | {DENOISER: precision}
    return {module: (own, own) for module, own in plain.items()}


def onnx_files(
    names: Collection[str], precision: Precision, module: str | None = None
) -> dict[str, str]:
    """The ONNX file of each module, or of one, among a repository's files; those not found are
    left out."""
    found: dict[str, str] = {}
    for name in MODULES if module is None else (module,):
        pattern = re.compile(MODULES[name].format(precision=PRECISIONS[precision]), re.IGNORECASE)
        candidates = [
            file
            for file in sorted(names)
            if file.endswith(".onnx") and pattern.fullmatch(str(PurePosixPath(file).parent))
        ]
        usual = [file for file in candidates if file.endswith("/model.onnx")]
        if usual or len(candidates) == 1:
            found[name] = (usual or candidates)[0]
    return found


def layout(precision: Precision, module: str | None = None) -> Layout:
    """Of the files that engines of a precision are built from."""

    def choose(names: Collection[str]) -> list[str]:
        folders = {
            PurePosixPath(file).parent for file in onnx_files(names, precision, module).values()
        }
        return [name for name in sorted(names) if PurePosixPath(name).parent in folders]

    def lacks(names: Collection[str]) -> list[str]:
        found = onnx_files(names, precision, module)
        wanted = MODULES if module is None else (module,)
        return [
            f"{_usual_folder(name, precision)}/model.onnx" for name in wanted if name not in found
        ]

    return Layout(choose, lacks)


def _usual_folder(module: str, precision: Precision) -> str:
    pattern = MODULES[module].format(precision=PRECISIONS[precision])
    return pattern.replace(r"(\.opt)?", ".opt")


def files_of(folder: Path, precision: Precision, module: str) -> list[Path]:
    """The files of a module's ONNX in a snapshot of the hub's cache; none when it is not there."""
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    file = onnx_files(names, precision, module).get(module)
    if file is None:
        return []
    return sorted(one for one in (folder / file).parent.iterdir() if one.is_file())


def fingerprint(folder: Path, precision: Precision, module: str) -> str | None:
    """What tells one ONNX of a module from another without reading it: names and content addresses
    of the files in its folder of the hub's cache, `folder` being the snapshot; None when it is not
    there."""
    marks = [
        f"{one.name} {one.resolve().name} {one.stat().st_size}"
        for one in files_of(folder, precision, module)
    ]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest() if marks else None
