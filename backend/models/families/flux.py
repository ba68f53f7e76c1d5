"""FLUX.1: limits, precisions and the prompt's length, known without loading the model.

Sizes must be multiples of 16: the VAE halves three times and the transformer takes 2x2 patches.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from backend.contracts import ImageLimits, Precision

FAMILY = "flux"
PIPELINE_CLASS = "FluxPipeline"
PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16)
"""What torch runs as it is."""

T5_TOKENS = 512
"""Prompt tokens that FLUX.1-dev reads; a model's tokenizer_2 may say less."""


def limits(manifest: dict[str, Any], max_prompt_tokens: int, guided: bool) -> ImageLimits:
    """Limits of a FLUX model; `manifest` may narrow or move them.

    Defaults are those of the model cards of FLUX.1-dev (28 steps, guidance 3.5) and schnell
    (4 steps, no guidance).
    """
    native = int(manifest.get("native_size", 1024))
    min_side, max_side = manifest.get("size_range", (256, 2048))
    return ImageLimits(
        native_width=native,
        native_height=native,
        min_side=int(min_side),
        max_side=int(max_side),
        multiple=16,
        default_steps=int(manifest.get("default_steps", 28 if guided else 4)),
        max_steps=100,
        default_guidance=float(manifest.get("default_guidance", 3.5 if guided else 0.0)),
        max_guidance=float(manifest.get("max_guidance", 10.0)),
        max_count=16,
        max_prompt_characters=4000,
        max_prompt_tokens=max_prompt_tokens,
    )


def count_prompt_tokens(folder: Path, prompt: str) -> int:
    """Tokens of the prompt as the T5 encoder gets them, the end marker included."""
    return len(_tokenizer(folder / "tokenizer_2" / "tokenizer.json").encode(prompt).ids)


@lru_cache(maxsize=8)
def _tokenizer(file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


MODULES = ("text_encoder", "text_encoder_2", "transformer", "vae_decoder")
DENOISER = "transformer"
QUANTISED = frozenset({Precision.INT8, Precision.FP8, Precision.NVFP4})


def module_precisions(precision: Precision, on_cpu: bool) -> dict[str, tuple[Precision, Precision]]:
    """Of each module of a variant: the precision it is exported in, and that of its engine.

    On a CPU all but the quantised layers are FP32. On a GPU as NVIDIA's pipeline has it: CLIP in
    FP16; T5 and the VAE in BF16, except in an FP16 pipeline, whose VAE stays FP32.
    """
    plain = precision not in QUANTISED
    if on_cpu or precision is Precision.FP32:
        base = dict.fromkeys(MODULES, Precision.FP32)
    elif precision is Precision.FP16:
        base = dict.fromkeys(MODULES, Precision.FP16) | {"vae_decoder": Precision.FP32}
    else:
        base = dict.fromkeys(MODULES, Precision.BF16) | {"text_encoder": Precision.FP16}
    return {
        module: (own, own if plain or module != DENOISER else precision)
        for module, own in base.items()
    }


ENGINE_PRECISIONS = (
    Precision.FP32,
    Precision.FP16,
    Precision.BF16,
    Precision.INT8,
    Precision.FP8,
    Precision.NVFP4,
)
