"""Where the ONNX of an engine comes from: our own export, or what the model's makers offer."""

from backend.contracts import EngineManifest, EngineRequest, EngineSource, Precision, Runtime
from backend.errors import Code, StudioError
from backend.models import files, preexported
from backend.models.catalog import Entry
from backend.models.hub_cache import snapshot_of
from backend.models.needs import needs_of
from backend.networks.files import mark_now


def offers(entry: Entry, precision: Precision, runtime: Runtime) -> bool:
    """Whether there is pre-exported ONNX for a variant."""
    return runtime is Runtime.TENSORRT and preexported.exists_for(entry.id, precision)


def is_here(entry: Entry, precision: Precision, runtime: Runtime) -> bool:
    """Whether a variant's engines can be built without fetching anything."""
    if entry.folder is not None or not offers(entry, precision, runtime):
        return entry.folder is not None
    return all(need.is_here() for need in needs_of(entry, EngineSource.PREEXPORTED, precision))


def source_of(request: EngineRequest, entry: Entry) -> EngineSource:
    """The source that a request asks for, or the one that it gets when it asks for none.

    Raises StudioError PREEXPORTED_MISSING.
    """
    offered = offers(entry, request.precision, request.runtime)
    if request.source is EngineSource.PREEXPORTED and not offered:
        raise StudioError(
            Code.PREEXPORTED_MISSING, model=entry.id, precision=str(request.precision)
        )
    if request.source is not None:
        return request.source
    here = entry.folder is not None
    return EngineSource.PREEXPORTED if offered and not here else EngineSource.EXPORT


def module_precisions(
    entry: Entry, source: EngineSource, precision: Precision, on_cpu: bool
) -> dict[str, tuple[Precision, Precision]]:
    """Of each module of a variant: the precision of its ONNX before we quantise, and that of its
    engine."""
    if source is EngineSource.PREEXPORTED:
        return preexported.module_precisions(precision)
    return entry.family.module_precisions(precision, on_cpu)


def fingerprint(entry: Entry, source: EngineSource, precision: Precision, module: str) -> str:
    """What tells one source of a module from another; empty while it is not here."""
    if source is EngineSource.EXPORT:
        return files.fingerprint(entry.folder, entry.digests) if entry.folder else ""
    folder = snapshot_of(preexported.REPOS[entry.id])
    found = preexported.fingerprint(folder, precision, module) if folder else None
    return found or ""


def ready_bytes(entry: Entry, source: EngineSource, precision: Precision, module: str) -> int:
    """Bytes of the pre-exported ONNX of a module; 0 while it is not here."""
    folder = snapshot_of(preexported.REPOS[entry.id]) if entry.id in preexported.REPOS else None
    if source is not EngineSource.PREEXPORTED or folder is None:
        return 0
    return sum(file.stat().st_size for file in preexported.files_of(folder, precision, module))


def fingerprint_now(made: EngineManifest, entry: Entry | None) -> str | None:
    """That of an engine's source as it is now; None when what the engine needs is gone.

    An engine of pre-exported ONNX needs no more than what runs around it: its ONNX may go, and is
    then taken for unchanged.
    """
    if made.source is EngineSource.FILE:
        assert made.onnx_source is not None and made.source_mark is not None
        mark = mark_now(made.onnx_source, made.source_mark)
        return made.model_fingerprint if mark == made.source_mark else mark
    if entry is None:
        return None
    if made.source is EngineSource.EXPORT:
        return fingerprint(entry, made.source, made.precision, made.module) or None
    if entry.settings_folder is None:
        return None
    precision = made.precision if made.module == preexported.DENOISER else Precision.BF16
    return fingerprint(entry, made.source, precision, made.module) or made.model_fingerprint


def takes_place(
    made: EngineManifest, precision: Precision, wanted: dict[str, tuple[Precision, Precision]]
) -> bool:
    """Whether an engine serves a variant of a precision whose modules are `wanted`. Encoders and
    decoder of pre-exported ONNX have the precision that their makers gave them."""
    if made.module not in wanted:
        return False
    if made.source is EngineSource.PREEXPORTED and made.module != preexported.DENOISER:
        return precision in preexported.PRECISIONS
    return made.precision is wanted[made.module][1]
