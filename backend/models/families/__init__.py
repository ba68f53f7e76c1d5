"""Families of picture models that the studio runs."""

from pathlib import Path

from backend.models import files
from backend.models.families.family import ENGINE_PRECISIONS, TORCH_PRECISIONS, Family, component_of
from backend.models.families.flux import FLUX
from backend.models.families.sdxl import SDXL

__all__ = [
    "ENGINE_PRECISIONS",
    "FAMILIES",
    "FLUX",
    "SDXL",
    "TORCH_PRECISIONS",
    "Family",
    "component_of",
    "family_of",
]

FAMILIES = {family.name: family for family in (FLUX, SDXL)}


def family_of(folder: Path, model: str) -> Family | None:
    """The family of the pipeline in a folder; None for one that the studio does not run.

    Raises StudioError MODEL_FILES_CORRUPTED.
    """
    kind = files.read_json(folder / "model_index.json", model).get("_class_name")
    return next((family for family in FAMILIES.values() if family.pipeline_class == kind), None)
