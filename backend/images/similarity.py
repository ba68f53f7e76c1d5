"""A learned measure of how alike pictures are: the cosine of their CLIP image embeddings (Radford
et al. 2021, arXiv:2103.00020)."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from backend.contracts import PictureReport

BATCH = 8


@torch.inference_mode()
def similarities(
    model: Path, report: PictureReport, folder: Path, check: Callable[[], None]
) -> dict[str, float]:
    """By file, of every picture against the reference's of the same prompt and seed. On the CPU;
    `model` is a folder with a CLIP model in safetensors. `check` is called between batches.

    Raises what loading raises.
    """
    options = {"local_files_only": True}
    clip = CLIPVisionModelWithProjection.from_pretrained(model, use_safetensors=True, **options)
    processor = CLIPImageProcessor.from_pretrained(model, **options)
    embeddings: dict[str, torch.Tensor] = {}
    files = [one.file for one in report.pictures]
    for start in range(0, len(files), BATCH):
        check()
        batch = files[start : start + BATCH]
        pictures = [Image.open(folder / file).convert("RGB") for file in batch]
        inputs = processor(images=pictures, return_tensors="pt")
        embedded = clip(**inputs).image_embeds
        embeddings |= zip(batch, embedded / embedded.norm(dim=-1, keepdim=True), strict=True)
    references = {
        (one.prompt, one.seed): embeddings[one.file]
        for one in report.pictures
        if one.variant == report.reference
    }
    return {
        one.file: float(embeddings[one.file] @ references[one.prompt, one.seed])
        for one in report.pictures
        if one.variant != report.reference and (one.prompt, one.seed) in references
    }
