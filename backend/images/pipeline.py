"""From a model's folder to a diffusers pipeline on a device."""

from collections.abc import Collection
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from safetensors import SafetensorError

from backend.contracts import Precision
from backend.images.device import DTYPES
from backend.models import files
from backend.models.families import family_of


def load_pipeline(
    folder: Path,
    model: str,
    precision: Precision,
    device: torch.device,
    left_out: Collection[str] = (),
) -> DiffusionPipeline:
    """The pipeline in `folder` (diffusers' layout, safetensors only) in one precision throughout,
    without the components `left_out`.

    Raises StudioError MODEL_FILES_CORRUPTED when the files do not make a whole pipeline.
    """
    family = family_of(folder, model)
    if family is None:
        raise files.corrupted(model, "it is no pipeline of a kind that the studio runs")
    files.count_parameters(folder, model)
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    variant = files.variant_of(folder)
    try:
        pipeline: DiffusionPipeline = getattr(diffusers, family.pipeline_class).from_pretrained(
            folder,
            dtype=DTYPES[precision],
            variant=variant,
            local_files_only=True,
            use_safetensors=True,
            **dict.fromkeys(left_out),
        )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise files.corrupted(model, "it cannot be loaded", repr(error)) from error
    except RuntimeError as error:
        if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error):
            raise
        raise files.corrupted(
            model, "its weights do not fit its configuration", str(error)
        ) from error
    _check_whole(pipeline, folder, model, variant)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _check_whole(
    pipeline: DiffusionPipeline, folder: Path, model: str, variant: str | None
) -> None:
    """Refuse components with more parameters than their files hold: loaders leave the rest empty or
    random, and say so in a warning only."""
    for name, component in pipeline.components.items():
        if not isinstance(component, torch.nn.Module):
            continue
        wanted = sum(parameter.numel() for parameter in component.parameters())
        found = sum(
            files.count_in_file(file, model)
            for file in files.component_files(folder, name, variant)
        )
        if wanted > found:
            raise files.corrupted(model, f"{name} lacks weights ({found:,} of {wanted:,})")
