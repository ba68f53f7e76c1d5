"""The same prompts at the reference's precision and quantised, in a child process.

Both share the embeddings that the reference's text encoders make, the seeds and the initial noise:
what differs is the denoiser, and with engines the VAE's runtime.
"""

import gc
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from backend.contracts import EngineManifest, GenerateRequest, Precision
from backend.images.device import collect, device_name, pick_device, synchronize
from backend.images.engine_pipeline import EngineFile, load_engine_pipeline
from backend.images.pipeline import load_pipeline
from backend.images.png import save_png
from backend.images.prompts import encode_prompt
from backend.jobs.children import News, child_main
from backend.models.families import FAMILIES
from backend.quantize.calibration import Calibration
from backend.quantize.costs import Costs
from backend.quantize.fake import fake_quantised
from backend.quantize.images.inputs import Recorder, inputs_file

STEPS = "steps.json"
"""Milliseconds of a denoising step by picture, kept so that a second start need not paint it."""

Embeddings = dict[str, torch.Tensor]


def paint(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Write the pictures of `reference` and of `quantised` to `work`, and inputs of the denoiser
    for the first ones, except what is there already. With `engines` the quantised ones are theirs,
    without they are simulated.

    Raises what loading raises.
    """
    device = torch.device("cpu") if arguments["on_cpu"] else pick_device()
    costs = Costs(device)
    with costs.phase("pictures"), torch.inference_mode():
        studio = _Studio(arguments, device, tell)
        pipeline, embeddings = studio.reference()
        studio.quantised(pipeline, embeddings)
    return {
        "device": device_name(device),
        "peak_memory_bytes": costs.phases["pictures"]["peak_memory_bytes"],
        "reference_step_ms": studio.step_ms("reference"),
        "quantised_step_ms": studio.step_ms("quantised"),
    }


class _Studio:
    def __init__(self, arguments: dict[str, Any], device: torch.device, tell: News) -> None:
        self.arguments, self.device, self._tell = arguments, device, tell
        self._precision = Precision(arguments["precision"])
        self._family = FAMILIES[arguments["family"]]
        self._work = Path(arguments["work"])
        self._wanted = {
            side: [(one["file"], GenerateRequest(**one["request"])) for one in arguments[side]]
            for side in ("reference", "quantised")
        }
        self._total = sum(one.steps for side in self._wanted.values() for _, one in side)
        self._done = 0
        times = self._work / STEPS
        self._times: dict[str, float] = json.loads(times.read_text()) if times.exists() else {}

    def reference(self) -> tuple[DiffusionPipeline, list[Embeddings]]:
        """The torch pipeline with the pictures that it made, and the prompts' embeddings."""
        folder, model = Path(self.arguments["folder"]), self.arguments["model"]
        pipeline = load_pipeline(folder, model, self._precision, self.device)
        tokens = self.arguments["max_prompt_tokens"]
        embeddings = [
            encode_prompt(pipeline, one.prompt, "", one.guidance, tokens)
            for _, one in self._wanted["reference"]
        ]
        recorder = Recorder(getattr(pipeline, self._family.denoiser))
        for index, (file, request) in enumerate(self._wanted["reference"]):
            captured = self._work / inputs_file(index)
            capture = index < self.arguments["captured"] and not captured.exists()
            if self._is_there(file) and not capture:
                self._passed(request)
                continue
            with recorder.recording(capture, request.steps):
                picture = self._paint(pipeline, file, request, embeddings[index])
            if capture:
                recorder.save(captured)
            save_png(picture, self._work / file, request)
        return pipeline, embeddings

    def quantised(self, pipeline: DiffusionPipeline, embeddings: list[Embeddings]) -> None:
        if self.arguments["engines"]:
            pipeline = self._engines(pipeline)
            embeddings = [{n: one.float() for n, one in each.items()} for each in embeddings]
        else:
            name = self._family.denoiser
            calibration = Calibration.load(Path(self.arguments["calibration"]))
            setattr(pipeline, name, fake_quantised(getattr(pipeline, name), calibration))
        for index, (file, request) in enumerate(self._wanted["quantised"]):
            if self._is_there(file):
                self._passed(request)
            else:
                picture = self._paint(pipeline, file, request, embeddings[index])
                save_png(picture, self._work / file, request)

    def step_ms(self, side: str) -> float:
        return median(self._times[file] for file, _ in self._wanted[side])

    def _engines(self, reference: DiffusionPipeline) -> DiffusionPipeline:
        """The pipeline on engines, the reference's modules let go first."""
        for component in reference.components.values():
            if isinstance(component, torch.nn.Module):
                component.to("meta")
        del reference
        gc.collect()
        collect(self.device)
        files = {
            module: EngineFile(EngineManifest.model_validate(one["manifest"]), Path(one["file"]))
            for module, one in self.arguments["engines"].items()
        }
        folder, kernels = self.arguments["settings_folder"], self.arguments["kernels"]
        return load_engine_pipeline(Path(folder), self._family, files, self.device, Path(kernels))

    def _is_there(self, file: str) -> bool:
        return (self._work / file).exists() and file in self._times

    def _passed(self, request: GenerateRequest) -> None:
        self._done += request.steps
        self._tell({"step": self._done, "total": self._total})

    def _paint(
        self,
        pipeline: DiffusionPipeline,
        file: str,
        request: GenerateRequest,
        embeddings: Embeddings,
    ) -> Image.Image:
        denoised_at = 0.0

        def after_step(
            _pipe: Any, step: int, _timestep: Any, _values: dict[str, Any]
        ) -> dict[str, Any]:
            nonlocal denoised_at
            self._done += 1
            if step + 1 == request.steps:
                synchronize(self.device)
                denoised_at = time.perf_counter()
            self._tell({"step": self._done, "total": self._total})
            return {}

        started = time.perf_counter()
        picture: Image.Image = pipeline(
            **embeddings,
            height=request.height,
            width=request.width,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=after_step,
        ).images[0]
        self._times[file] = (denoised_at - started) * 1000 / request.steps
        times = self._work / f"{STEPS}.part"
        times.write_text(json.dumps(self._times), encoding="utf-8")
        times.replace(self._work / STEPS)
        return picture


if __name__ == "__main__":
    child_main(paint)
