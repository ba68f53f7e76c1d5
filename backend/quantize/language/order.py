"""A request to quantise made definite on this machine: which files, which layers, written where."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.chat.models import CHECKPOINTS, MANIFEST, find_language_model
from backend.contracts import CheckpointManifest, LanguageModel, QuantizeRequest, RecipeSize
from backend.errors import Code, StudioError
from backend.language import text
from backend.models.files import read_json
from backend.quantize.language.recipes import (
    KvRecipe,
    LanguageRecipe,
    find_kv_recipe,
    find_recipe,
)
from backend.quantize.language.sizes import (
    SizeEstimate,
    StoredTensor,
    check_architecture,
    estimate_size,
    files_bytes,
    read_headers,
)
from backend.settings import Settings


@dataclass(frozen=True)
class Source:
    """A model that can be quantised, as its files say."""

    model: LanguageModel
    config: dict[str, Any]
    tensors: tuple[StoredTensor, ...]
    files_bytes: int
    """Of its weights."""

    @property
    def folder(self) -> Path:
        return Path(self.model.folder)

    @property
    def parameters(self) -> int:
        return sum(tensor.values for tensor in self.tensors)

    @property
    def revision(self) -> str | None:
        """The commit, where it is in the hub's cache."""
        return self.folder.name if self.folder.parent.name == "snapshots" else None

    @property
    def digest(self) -> str:
        marks = sorted((each.name, each.dtype, each.shape) for each in self.tensors)
        told = json.dumps([marks, self.files_bytes, self.revision])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Order:
    """What is made of which source, and how."""

    request: QuantizeRequest
    source: Source
    recipe: LanguageRecipe
    kv: KvRecipe
    size: SizeEstimate
    target: Path

    def work(self, job_id: str) -> Path:
        """Where it is made: beside its place, so that it can be renamed when it is whole."""
        return self.target.parent / f".{job_id}"


def read_source(settings: Settings, name: str) -> Source:
    """Raises StudioError CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED, MODEL_FILES_CORRUPTED,
    QUANTIZE_ALREADY_QUANTIZED, QUANTIZE_MODEL_UNSUPPORTED, QUANTIZE_WEIGHTS_MISSING,
    QUANTIZE_WEIGHTS_PICKLED."""
    return source_of(find_language_model(settings, name))


def source_of(model: LanguageModel) -> Source:
    """A model that is here. Raises what `read_source` raises of one that was found."""
    folder = Path(model.folder)
    config = read_json(folder / "config.json", model.name)
    check_source(model, config)
    tensors = read_headers(folder, model.name)
    return Source(model, config, tensors, files_bytes(folder))


def check_source(model: LanguageModel, config: dict[str, Any]) -> None:
    """Raises StudioError QUANTIZE_ALREADY_QUANTIZED, QUANTIZE_MODEL_UNSUPPORTED."""
    if model.algorithm is not None or model.simulated:
        raise StudioError(
            Code.QUANTIZE_ALREADY_QUANTIZED, model=model.name, precision=model.precision
        )
    check_architecture(config, model.name)


def make_order(settings: Settings, request: QuantizeRequest, absent: Source | None = None) -> Order:
    """What a request comes to; `absent` is what the hub said of a model that is not here.

    Raises what `read_source` raises, QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE,
    QUANTIZE_NOTHING_LEFT, RECIPE_INVALID.
    """
    recipe, kv = find_recipe(request.recipe), find_kv_recipe(request.kv_cache)
    source = absent or read_source(settings, request.model)
    if request.effective_bits is not None:
        check_bits(recipe, kv, request.effective_bits)
    size = size_of(source, recipe, kv, request.leave_out)
    return Order(request, source, recipe, kv, size, target_of(settings, request))


def check_bits(recipe: LanguageRecipe, kv: KvRecipe, bits: float) -> None:
    """Raises StudioError RECIPE_INVALID for a target that the recipe cannot reach."""
    own = 8 if recipe.form.value in ("fp8", "int8") else 4
    if bits <= own:
        problem = text("quantize.problem.bits", bits=f"{bits:g}", own=own)
        raise StudioError(Code.RECIPE_INVALID, problem=problem)
    if kv.algorithm is not None:
        raise StudioError(Code.RECIPE_INVALID, problem=text("quantize.problem.bits_cache"))


def size_of(
    source: Source, recipe: LanguageRecipe, kv: KvRecipe, leave_out: Sequence[str]
) -> SizeEstimate:
    return estimate_size(recipe, kv, source.tensors, leave_out, source.files_bytes)


def size_view(size: SizeEstimate) -> RecipeSize:
    return RecipeSize(
        source_bytes=size.source,
        whole_bytes=size.whole,
        quantised_bytes=size.quantised,
        quantised_source_bytes=size.quantised_source,
        ratio_whole=size.ratio_whole,
        ratio_quantised_layers=size.ratio_quantised_layers,
        layers=len(size.layers),
        left_out=size.left_out,
    )


def target_of(settings: Settings, request: QuantizeRequest) -> Path:
    """The folder that is asked for, or one that is named after model and recipe."""
    if request.out is not None:
        return Path(request.out).expanduser().absolute()
    parts = [Path(request.model).name, request.recipe]
    if request.kv_cache != "none":
        parts.append(f"kv_{request.kv_cache}")
    if request.effective_bits is not None:
        parts.append(f"{request.effective_bits:g}_bits")
    return settings.home / CHECKPOINTS / "-".join(parts)


def check_target(target: Path, replace: bool) -> None:
    """Raises StudioError CHECKPOINT_EXISTS, FOLDER_NOT_WRITABLE. Only a checkpoint of this studio
    is ever replaced; an empty folder is no obstacle."""
    taken = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if taken and not (replace and is_ours(target)):
        raise StudioError(Code.CHECKPOINT_EXISTS, path=str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe = target.parent / f".probe.{target.name}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudioError(Code.FOLDER_NOT_WRITABLE, repr(error), path=str(target.parent)) from error


def is_ours(folder: Path) -> bool:
    try:
        CheckpointManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return False
    return True


def put_in_place(finished: Path, order: Order) -> None:
    """Rename a whole checkpoint to its place, the one before it going first if it may.

    Raises StudioError CHECKPOINT_EXISTS.
    """
    check_target(order.target, order.request.replace)
    if order.target.exists():
        old = finished.with_name("replaced")
        order.target.replace(old)
        finished.replace(order.target)
        shutil.rmtree(old)
    else:
        finished.replace(order.target)
