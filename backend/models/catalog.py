"""Which models there are, and where each of their variants stands on this machine."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.contracts import (
    ImageLimits,
    Model,
    Precision,
    Runtime,
    Variant,
    VariantState,
)
from backend.errors import Code, StudioError
from backend.language import Text, Value, text
from backend.models import files, layouts
from backend.models.families import (
    ENGINE_PRECISIONS,
    FAMILIES,
    FLUX,
    SDXL,
    TORCH_PRECISIONS,
    Family,
    family_of,
    flux,
)
from backend.models.families.family import Manifest
from backend.models.hub_cache import names_in, snapshot_of
from backend.settings import ASSETS, Settings

BYTES_PER_PARAMETER = {Precision.FP32: 4, Precision.FP16: 2, Precision.BF16: 2}
WORKING_SHARE = 1.25
"""Memory of a resident model over that of its weights: activations at its native size."""


@dataclass(frozen=True)
class KnownModel:
    """A full-size model on the Hugging Face hub."""

    id: str
    name: str
    repo: str
    licence: str
    parameters: int
    """In all components together, each counted once."""
    encoder_parameters: int
    family: Family
    limits: ImageLimits
    engine_precisions: tuple[Precision, ...]


KNOWN = (
    KnownModel(
        id="flux.1-dev",
        name="FLUX.1 [dev]",
        repo="black-forest-labs/FLUX.1-dev",
        licence="FLUX.1 [dev] Non-Commercial License",
        parameters=16_870_000_000,
        encoder_parameters=4_885_000_000,
        family=FLUX,
        limits=flux.limits({}),
        engine_precisions=(Precision.BF16, Precision.FP8, Precision.NVFP4),
    ),
    KnownModel(
        id="flux.1-schnell",
        name="FLUX.1 [schnell]",
        repo="black-forest-labs/FLUX.1-schnell",
        licence="Apache-2.0",
        parameters=16_860_000_000,
        encoder_parameters=4_885_000_000,
        family=FLUX,
        limits=flux.limits({}, max_prompt_tokens=256, guided=False),
        engine_precisions=(Precision.FP16, Precision.BF16, Precision.FP8, Precision.NVFP4),
    ),
    KnownModel(
        id="sdxl-1.0",
        name="SDXL 1.0",
        repo="stabilityai/stable-diffusion-xl-base-1.0",
        licence="CreativeML Open RAIL++-M",
        parameters=3_470_000_000,
        encoder_parameters=818_000_000,
        family=SDXL,
        limits=SDXL.limits({}),
        engine_precisions=(Precision.FP16, Precision.BF16, Precision.INT8, Precision.FP8),
    ),
)


@dataclass(frozen=True)
class Entry:
    """A model as found: where its files are, and what is wrong with them if anything is."""

    id: str
    name: str
    licence: str
    source: str
    folder: Path | None
    parameters: int
    encoder_parameters: int
    """Of these, in the text encoders."""
    size_bytes: int
    family: Family
    limits: ImageLimits
    engine_precisions: tuple[Precision, ...]
    examples: tuple[str, ...]
    digests: dict[str, str]
    """SHA-256 by path within the folder, where the model ships them."""
    problem: str = ""
    repo: str = ""
    """On the hub, where the model comes from there."""
    settings_folder: Path | None = None
    """Where its tokenizers, scheduler and configurations are: enough to run engines, though not
    torch. `folder` where its weights are here too."""

    def memory_bytes(self, precision: Precision) -> int:
        """Of all its parts together."""
        return int(self.parameters * BYTES_PER_PARAMETER[precision] * WORKING_SHARE)

    def encoder_bytes(self, precision: Precision) -> int:
        """Of its text encoders."""
        return int(self.encoder_parameters * BYTES_PER_PARAMETER[precision] * WORKING_SHARE)

    def least_memory_bytes(self, precision: Precision) -> int:
        """What it cannot do with less than: text encoders and the rest in turns."""
        encoders = self.encoder_bytes(precision)
        return max(encoders, self.memory_bytes(precision) - encoders)


def find_models(settings: Settings) -> dict[str, Entry]:
    """All models by id: shipped ones, those in the user's folders, then known ones of the hub."""
    found: dict[str, Entry] = {}
    for root in (ASSETS / "models", *settings.models):
        for folder in sorted(root.expanduser().glob("*/")):
            if (folder / "model_index.json").exists():
                entry = _from_folder(folder)
                if entry is not None:
                    found.setdefault(entry.id, entry)
    for known in KNOWN:
        found.setdefault(known.id, _from_hub(known))
    return found


def find_model(settings: Settings, model_id: str) -> Entry:
    """Raises StudioError MODEL_UNKNOWN."""
    entry = find_models(settings).get(model_id)
    if entry is None:
        raise StudioError(Code.MODEL_UNKNOWN, model=model_id[:80])
    return entry


def _from_folder(folder: Path) -> Entry | None:
    """The model in a folder, broken ones included; None for a pipeline of no known family."""
    stamps = tuple(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size)
        for file in (*sorted(folder.glob("*.json")), *files.weight_files(folder))
    )
    return _read_folder(folder, stamps)


@lru_cache(maxsize=32)
def _read_folder(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> Entry | None:
    family = _family(folder)
    if family is None:
        return None
    manifest: Manifest = {}
    parameters, encoders, problem, limits = 0, 0, "", None
    try:
        files.read_json(folder / "model_index.json", folder.name)
        if (folder / "manifest.json").exists():
            manifest = files.read_json(folder / "manifest.json", folder.name)
        parameters = files.count_parameters(folder, folder.name)
        encoders = _count_encoders(folder, folder.name, family)
        limits = family.read_limits(folder, manifest)
        _check_scheduler(folder, family)
    except StudioError as error:
        problem = str(error.info.values["problem"])
    return Entry(
        id=folder.name,
        name=str(manifest.get("name", folder.name)),
        licence=str(manifest.get("licence", "see the model's folder")),
        source=str(folder),
        folder=folder,
        parameters=parameters,
        encoder_parameters=encoders,
        size_bytes=files.folder_bytes(folder),
        family=family,
        limits=limits or family.limits(manifest),
        engine_precisions=ENGINE_PRECISIONS,
        examples=tuple(manifest.get("examples", ())),
        digests=dict(manifest.get("sha256", {})),
        problem=problem,
        settings_folder=folder,
    )


def _count_encoders(folder: Path, model: str, family: Family) -> int:
    """Raises StudioError MODEL_FILES_CORRUPTED."""
    variant = files.variant_of(folder)
    return sum(
        files.count_in_file(file, model)
        for name in family.text_encoders
        for file in files.component_files(folder, name, variant)
    )


def _family(folder: Path) -> Family | None:
    """By its index; where that cannot be read, by its denoiser, so that it is listed as broken."""
    try:
        return family_of(folder, folder.name)
    except StudioError:
        return next((one for one in FAMILIES.values() if (folder / one.denoiser).is_dir()), None)


def _check_scheduler(folder: Path, family: Family) -> None:
    scheduler = files.read_json(folder / "scheduler" / "scheduler_config.json", folder.name)
    found = scheduler.get("_class_name")
    if found != family.scheduler_class:
        problem = f"its scheduler is {found}, and only {family.scheduler_class} is supported"
        raise files.corrupted(folder.name, problem)


def _from_hub(known: KnownModel) -> Entry:
    snapshot = snapshot_of(known.repo)
    names = names_in(snapshot)
    folder = None if layouts.PIPELINE.lacks(names) else snapshot
    parameters, encoders, problem = known.parameters, known.encoder_parameters, ""
    if folder is not None:
        try:
            parameters = files.count_parameters(folder, known.id)
            encoders = _count_encoders(folder, known.id, known.family)
        except StudioError as error:
            problem = str(error.info.values["problem"])
    return Entry(
        id=known.id,
        name=known.name,
        licence=known.licence,
        source=known.repo,
        folder=folder,
        parameters=parameters,
        encoder_parameters=encoders,
        size_bytes=parameters * BYTES_PER_PARAMETER[Precision.BF16],
        family=known.family,
        limits=known.limits,
        engine_precisions=known.engine_precisions,
        examples=("a beautiful photograph of Mt. Fuji during cherry blossom",),
        digests={},
        problem=problem,
        repo=known.repo,
        settings_folder=None if layouts.SETTINGS.lacks(names) else snapshot,
    )


@dataclass(frozen=True)
class Machine:
    """What decides where a variant stands."""

    total_bytes: int
    """Memory of the device that models live on."""
    on_gpu: bool
    native: frozenset[Precision]
    """Precisions that the device computes itself; others are emulated, slowly."""


def describe(entry: Entry, machine: Machine, resident: dict[str, int]) -> Model:
    """The model with its variants on a machine.

    `resident` gives the measured memory of loaded variants by key.
    """
    return Model(
        id=entry.id,
        name=entry.name,
        family=entry.family.name,
        licence=entry.licence,
        source=entry.source,
        size_bytes=entry.size_bytes,
        limits=entry.limits,
        variants=tuple(
            _variant(entry, precision, machine, resident) for precision in TORCH_PRECISIONS
        ),
        examples=entry.examples,
    )


def _variant(
    entry: Entry, precision: Precision, machine: Machine, resident: dict[str, int]
) -> Variant:
    key = variant_key(entry.id, precision, Runtime.TORCH)
    state, reason = _standing(entry, precision, machine)
    return Variant(
        precision=precision,
        runtime=Runtime.TORCH,
        state=state,
        reason=reason,
        loaded=key in resident,
        memory_bytes=resident.get(key, entry.memory_bytes(precision)),
    )


def _standing(entry: Entry, precision: Precision, machine: Machine) -> tuple[VariantState, Text]:
    needed = entry.least_memory_bytes(precision)
    if needed > machine.total_bytes:
        sizes: dict[str, Value] = {"needed_bytes": needed, "total_bytes": machine.total_bytes}
        reason = text("variant.too_large", **sizes)
        return VariantState.IMPOSSIBLE, reason
    if entry.problem:
        return VariantState.IMPOSSIBLE, text("variant.files_missing", problem=entry.problem)
    if entry.folder is None:
        reason = text("variant.not_here", model=entry.id, size_bytes=entry.size_bytes)
        return VariantState.DOWNLOADABLE, reason
    if precision not in machine.native:
        return VariantState.READY, text("variant.emulated", precision=precision.upper())
    return VariantState.READY, text("variant.ready" if machine.on_gpu else "variant.ready_on_cpu")


def variant_key(model: str, precision: Precision, runtime: Runtime) -> str:
    return f"{model}/{precision}/{runtime}"
