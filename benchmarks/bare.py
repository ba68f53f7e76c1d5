"""A plain diffusers script: a request a line in, seconds and the digest of the pixels out."""

import sys
import time
from hashlib import sha256

import numpy as np
import torch

from backend.contracts import GenerateRequest
from backend.images.pipeline import load_pipeline
from backend.models.catalog import find_model
from backend.settings import Settings


def main() -> None:
    entry = find_model(Settings(), "demo-flux")
    assert entry.folder is not None
    pipeline = None
    for line in sys.stdin:
        request = GenerateRequest.model_validate_json(line)
        if pipeline is None:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            pipeline = load_pipeline(entry.folder, entry.id, request.precision, device)
        started = time.perf_counter()
        picture = pipeline(
            request.prompt,
            height=request.height,
            width=request.width,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            max_sequence_length=entry.limits.max_prompt_tokens,
        ).images[0]
        seconds = time.perf_counter() - started
        print(seconds, sha256(np.asarray(picture).tobytes()).hexdigest(), flush=True)


if __name__ == "__main__":
    main()
