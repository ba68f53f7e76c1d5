"""Write the layers of FLUX.1's and SDXL's denoisers, without their weights.

python -m tools.denoiser_shapes

The studio computes from them what a model will take that is not on the machine yet.
"""

import json
import re
from collections import Counter
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel

from backend.quantize.images.sizes import KNOWN_DENOISERS
from backend.quantize.quantisers import layers_of
from benchmarks.full_size import FLUX, SDXL

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def known_denoisers() -> dict[str, Any]:
    """By model: the number of parameters, and name (numbers as `*`), kind, shape and count of the
    layers."""
    kinds = {
        "flux.1-dev": (FluxTransformer2DModel, FLUX),
        "flux.1-schnell": (FluxTransformer2DModel, FLUX | {"guidance_embeds": False}),
        "sdxl-1.0": (UNet2DConditionModel, SDXL),
    }
    found = {}
    for model, (kind, config) in kinds.items():
        with torch.device("meta"):
            denoiser = kind(**config)
        layers = Counter(
            (NUMBER.sub("*", layer.name), layer.type, layer.dims)
            for layer in layers_of(denoiser)
            if layer.type != "attention"
        )
        found[model] = {
            "parameters": sum(one.numel() for one in denoiser.parameters()),
            "layers": [[name, type_, list(dims), n] for (name, type_, dims), n in layers.items()],
        }
    return found


def written(found: dict[str, Any]) -> str:
    """As JSON, a layer a line."""
    models = []
    for model, about in found.items():
        layers = ",\n".join(f"   {json.dumps(layer)}" for layer in about["layers"])
        models.append(
            f' "{model}": {{\n  "parameters": {about["parameters"]},\n  "layers": [\n{layers}\n  ]\n }}'
        )
    return "{\n" + ",\n".join(models) + "\n}\n"


if __name__ == "__main__":
    KNOWN_DENOISERS.write_text(written(known_denoisers()), encoding="utf-8")
