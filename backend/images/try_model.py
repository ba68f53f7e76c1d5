"""Load a pipeline and take one denoising step, in a child process: does it give a picture?"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.contracts import Precision
from backend.images.device import pick_device
from backend.images.pipeline import load_pipeline
from backend.images.prompts import prompt_arguments
from backend.jobs.children import News, child_main
from backend.models import files


def try_model(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Raises StudioError MODEL_FILES_CORRUPTED when loading fails or the picture is not finite."""
    model = arguments["model"]
    pipeline = load_pipeline(
        Path(arguments["folder"]), model, Precision(arguments["precision"]), pick_device()
    )
    tell({"step": 1, "total": 2})
    picture = pipeline(
        **prompt_arguments(pipeline, "a picture", arguments["max_prompt_tokens"]),
        height=arguments["side"],
        width=arguments["side"],
        num_inference_steps=1,
        generator=torch.Generator("cpu").manual_seed(0),
        output_type="np",
    ).images[0]
    if not np.isfinite(picture).all():
        raise files.corrupted(model, "its weights give no finite picture")
    tell({"step": 2, "total": 2})
    return {}


if __name__ == "__main__":
    child_main(try_model)
