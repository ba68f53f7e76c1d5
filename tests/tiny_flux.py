"""The demo model with one block of each kind left in its denoiser: a whole pipeline whose exports
and builds take a few seconds."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from backend.contracts import EngineRequest, JobState
from backend.settings import ASSETS
from backend.studio import Studio
from tests.support import OWNER

DEMO = ASSETS / "models" / "demo-flux"
NAME = "tiny-flux"
QUICK = {"calibration_prompts": 4, "calibration_steps": 4}
BUILD_PATIENCE_S = 400.0


def make_tiny_flux(folder: Path) -> Path:
    """Write it to `folder / NAME`; the folder for `Settings.models`."""
    tiny = folder / NAME
    shutil.copytree(DEMO, tiny, ignore=shutil.ignore_patterns("*.md", "preview.json"))
    manifest = json.loads((tiny / "manifest.json").read_text("utf-8"))
    del manifest["sha256"]
    (tiny / "manifest.json").write_text(json.dumps(manifest | {"name": NAME}), encoding="utf-8")
    file = tiny / "transformer" / "config.json"
    config = json.loads(file.read_text("utf-8")) | {"num_layers": 1, "num_single_layers": 1}
    file.write_text(json.dumps(config), encoding="utf-8")
    (weights,) = (tiny / "transformer").glob("*.safetensors")
    kept = {name: one for name, one in load_file(weights).items() if _is_kept(name)}
    save_file(kept, weights)
    return folder


def build_tiny(studio: Studio, **values: Any) -> dict[str, Any]:
    """Have engines of it built, calibrated in a few steps; the result of the job."""
    asked = EngineRequest.model_validate({"model": NAME} | QUICK | values)
    job = studio.jobs.wait(studio.engines.build(asked, OWNER), OWNER, BUILD_PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result
    return job.result


def copy_engines(source: Path, home: Path) -> None:
    """Have the engines of one home, and what they were made from, in another one too."""
    for name in ("engines", "calibrations", "onnx"):
        shutil.copytree(source / name, home / name, copy_function=os.link)


def _is_kept(name: str) -> bool:
    stack, _, rest = name.partition(".")
    return not stack.endswith("transformer_blocks") or rest.startswith("0.")
