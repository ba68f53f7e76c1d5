"""Calibrate the denoiser of a picture model on prompts, in a child process."""

from pathlib import Path
from typing import Any

import torch

from backend.contracts import Precision
from backend.images.device import pick_device
from backend.images.pipeline import load_pipeline
from backend.images.prompts import prompt_arguments
from backend.jobs.children import News, child_main
from backend.models.families import FAMILIES
from backend.quantize.calibration import calibrate, recipe_from
from backend.quantize.prompts import read_prompts


def calibrate_denoiser(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Watch the denoiser of `folder` make pictures of the first prompts of `prompts`; write what
    was seen to `file`. Raises what calibrate and read_prompts raise."""
    family = FAMILIES[arguments["family"]]
    recipe = recipe_from(arguments["recipe"])
    prompts = read_prompts(Path(arguments["prompts"]))[: recipe.samples]
    device = pick_device()
    base = Precision.FP32 if device.type == "cpu" else Precision.BF16
    pipeline = load_pipeline(Path(arguments["folder"]), arguments["model"], base, device)
    denoiser = getattr(pipeline, family.denoiser)

    def make_pictures(stand_in: torch.nn.Module) -> None:
        setattr(pipeline, family.denoiser, stand_in)
        for seed, prompt in enumerate(prompts):
            pipeline(
                **prompt_arguments(pipeline, prompt, arguments["max_prompt_tokens"]),
                width=arguments["width"],
                height=arguments["height"],
                num_inference_steps=recipe.steps,
                guidance_scale=arguments["guidance"],
                generator=torch.Generator("cpu").manual_seed(seed),
                output_type="latent",
            )

    def on_progress(done: int, wanted: int) -> None:
        tell({"step": done, "total": wanted})

    with torch.no_grad():
        found = calibrate(denoiser, recipe, family.name, make_pictures, on_progress, lambda: None)
    found.save(Path(arguments["file"]))
    return {"digest": found.digest, "layers": len(found.layers)}


if __name__ == "__main__":
    child_main(calibrate_denoiser)
