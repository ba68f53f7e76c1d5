"""The same prompts at every precision that runs on this machine, against the torch reference."""

import math

import numpy as np
from PIL import Image

from backend.contracts import EngineRequest, GenerateRequest, Precision, Runtime
from backend.images.quality import psnr, ssim
from backend.studio import Studio
from benchmarks.measure import OWNER, PATIENCE_S, Result, median, native_request, served

BUILD_PATIENCE_S = 600.0
PROMPTS = (
    "a red circle left of a blue square",
    "a yellow star above a purple heart",
    "a boat with red sails on the sea at sunset",
    "a house and trees in snow",
    "a beautiful photograph of Mt. Fuji during cherry blossom",
    "a night sky with a moon and stars",
)
MODELS = ("demo-flux", "demo-sdxl")
ENGINES = (Precision.FP32, Precision.FP8, Precision.INT8)


def pictures(studio: Studio, model: str, **changes: object) -> tuple[list[np.ndarray], float]:
    """One picture a prompt, and the median milliseconds of a denoising step."""
    found, step_ms = [], []
    for prompt in PROMPTS:
        request: GenerateRequest = native_request(studio, model, prompt=prompt, **changes)
        job = studio.jobs.wait(studio.pictures.generate(request, OWNER), OWNER, PATIENCE_S)
        assert job.result is not None, job.error
        found.append(np.asarray(Image.open(job.images[0].path)))
        step_ms.append(job.result["metrics"]["step_ms"])
    return found, median(step_ms[1:])


def measure() -> list[Result]:
    results = []
    with served() as (studio, _, _):
        for model in MODELS:
            results += compare(studio, model)
    return results


def compare(studio: Studio, model: str) -> list[Result]:
    results = []
    reference, reference_ms = pictures(studio, model)
    for precision in ENGINES:
        asked = EngineRequest(model=model, precision=precision, runtime=Runtime.ONNXRUNTIME)
        job = studio.jobs.wait(studio.engines.build(asked, OWNER), OWNER, BUILD_PATIENCE_S)
        assert job.result is not None, job.error
        made, step_ms = pictures(studio, model, precision=precision, runtime=Runtime.ONNXRUNTIME)
        pairs = list(zip(made, reference, strict=True))
        decibels = [math.inf if (one := psnr(*pair)) is None else one for pair in pairs]
        alike = [ssim(*pair) for pair in pairs]
        name = f"{model} {precision} onnxruntime"
        results += [
            Result(f"{name}: build", (job.finished_at or 0) - (job.started_at or 0), "s"),
            Result(f"{name}: step over torch fp32", step_ms / reference_ms, "x"),
            Result(f"{name}: PSNR, median", median(decibels), "dB"),
            Result(f"{name}: PSNR, worst", min(decibels), "dB"),
            Result(f"{name}: SSIM, median", median(alike), ""),
        ]
    return results
