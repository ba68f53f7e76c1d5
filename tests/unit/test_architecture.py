"""The house keeps its walls: the page and the facade load no heavy library."""

import subprocess
import sys

import pytest

from tests.support import ROOT

HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "tensorrt",
    "tensorrt_rtx",
    "modelopt",
    "onnx",
    "onnxruntime",
)


@pytest.mark.parametrize("module", ["backend.studio", "ui.app", "app"])
def test_no_heavy_library_is_loaded(module: str) -> None:
    code = f"import sys, {module}; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_backend_never_imports_gradio() -> None:
    for file in (ROOT / "backend").rglob("*.py"):
        assert "import gradio" not in file.read_text(encoding="utf-8"), file
