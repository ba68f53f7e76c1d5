"""SDXL: limits, precisions and the prompt's length, known without loading the model."""

from pathlib import Path

from backend.contracts import ImageLimits, Precision
from backend.models import files
from backend.models.families.family import Family, Manifest
from backend.models.families.tokens import count_tokens

CLIP_TOKENS = 77
"""Prompt tokens that CLIP reads, markers of begin and end included."""


def limits(manifest: Manifest, max_prompt_tokens: int = CLIP_TOKENS) -> ImageLimits:
    """Defaults are those of NVIDIA's pipeline (30 steps, guidance 5) and the sizes that the model
    was trained with; sizes are multiples of 8, because the VAE halves three times."""
    native = int(manifest.get("native_size", 1024))
    min_side, max_side = manifest.get("size_range", (512, 2048))
    return ImageLimits(
        native_width=native,
        native_height=native,
        min_side=int(min_side),
        max_side=int(max_side),
        multiple=int(manifest.get("size_multiple", 8)),
        default_steps=int(manifest.get("default_steps", 30)),
        max_steps=100,
        default_guidance=float(manifest.get("default_guidance", 5.0)),
        max_guidance=float(manifest.get("max_guidance", 20.0)),
        max_count=16,
        max_prompt_characters=4000,
        max_prompt_tokens=max_prompt_tokens,
        takes_negative_prompt=True,
    )


def read_limits(folder: Path, manifest: Manifest) -> ImageLimits:
    lengths = [
        int(files.read_json(file, folder.name).get("model_max_length", CLIP_TOKENS))
        for file in (folder / name / "tokenizer_config.json" for name in TOKENIZERS)
    ]
    return limits(manifest, min(*lengths, CLIP_TOKENS))


def count_prompt_tokens(folder: Path, prompt: str) -> int:
    return max(count_tokens(folder / name, prompt) for name in TOKENIZERS)


def gpu_precisions(precision: Precision) -> dict[str, Precision]:
    """As NVIDIA's pipeline has it: all in FP16 but the VAE, whose activations overflow there, and
    the UNet of a BF16 pipeline."""
    unet = Precision.BF16 if precision is Precision.BF16 else Precision.FP16
    return {
        "text_encoder": Precision.FP16,
        "text_encoder_2": Precision.FP16,
        "unet": unet,
        "vae_decoder": Precision.FP32,
    }


TOKENIZERS = ("tokenizer", "tokenizer_2")
SDXL = Family(
    name="sdxl",
    pipeline_class="StableDiffusionXLPipeline",
    scheduler_class="EulerDiscreteScheduler",
    engine_modules=("text_encoder", "text_encoder_2", "unet", "vae_decoder"),
    denoiser="unet",
    gpu_precisions=gpu_precisions,
    limits=limits,
    read_limits=read_limits,
    count_prompt_tokens=count_prompt_tokens,
)
