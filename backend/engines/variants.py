"""Where the variants of a model that run on engines stand on this machine."""

from collections.abc import Iterable

from backend.contracts import (
    Engine,
    EngineManifest,
    EngineState,
    GenerateRequest,
    Precision,
    Runtime,
    Variant,
    VariantState,
)
from backend.engines.cache import Host
from backend.engines.host import CPU, edition_for
from backend.engines.plan import default_target, engine_runtimes
from backend.engines.sources import is_here, offers, takes_place
from backend.errors import Code, StudioError
from backend.language import Text, text
from backend.models import preexported
from backend.models.catalog import Entry, variant_key

Size = tuple[int, int]
"""Width and height in pixels."""
NONE = "—"
WORKING_SHARE = 1.25
"""Memory of a running engine over that of its file: activations at its native size."""


def engine_variants(
    entry: Entry, host: Host, engines: Iterable[Engine], resident: dict[str, int]
) -> tuple[Variant, ...]:
    """One for each precision and runtime. `resident` is the memory of loaded variants by key."""
    known = list(engines)
    return tuple(
        _variant(entry, precision, runtime, host, known, resident)
        for precision in entry.engine_precisions
        for runtime in engine_runtimes(precision)
    )


def engines_of(
    entry: Entry,
    precision: Precision,
    runtime: Runtime,
    engines: Iterable[Engine],
    size: Size | None = None,
) -> dict[str, Engine]:
    """The engine of each module of a variant that runs here, the newest of several; with `size`,
    of those that take pictures of that width and height."""
    wanted = entry.family.module_precisions(precision, on_cpu=runtime is Runtime.ONNXRUNTIME)
    found: dict[str, Engine] = {}
    for engine in sorted(engines, key=lambda engine: engine.manifest.created_at):
        made = engine.manifest
        if (
            engine.state is EngineState.VALID
            and (made.model, made.runtime) == (entry.id, runtime)
            and takes_place(made, precision, wanted)
            and (size is None or _takes(made, size))
        ):
            found[made.module] = engine
    return found


def _sized(made: EngineManifest) -> bool:
    """ONNX Runtime takes any size, and text encoders see none."""
    on_gpu = made.runtime is Runtime.TENSORRT
    return on_gpu and not made.module.startswith("text_encoder") and made.profile is not None


def _takes(made: EngineManifest, size: Size) -> bool:
    return not _sized(made) or (made.profile is not None and made.profile.takes(*size))


def check_size(request: GenerateRequest, entry: Entry, engines: Iterable[Engine]) -> None:
    """Raises StudioError SIZE_OUT_OF_PROFILE when a variant has engines, though none for the size
    that is asked for."""
    known = list(engines)
    size = (request.width, request.height)
    variant = (entry, request.precision, request.runtime)
    if len(engines_of(*variant, known, size)) == len(entry.family.engine_modules):
        return
    if any(_sized(one.manifest) for one in engines_of(*variant, known).values()):
        raise StudioError(
            Code.SIZE_OUT_OF_PROFILE,
            width=request.width,
            height=request.height,
            sizes=", ".join(_working_sizes(*variant, known)) or NONE,
        )


def _working_sizes(
    entry: Entry, precision: Precision, runtime: Runtime, engines: list[Engine]
) -> list[str]:
    """The sizes that all modules of a variant have engines for, each as `width × height` or as what
    either side may be."""

    def works(size: Size) -> bool:
        found = engines_of(entry, precision, runtime, engines, size)
        return len(found) == len(entry.family.engine_modules)

    sizes: list[str] = []
    for profile in dict.fromkeys(one.manifest.profile for one in engines if _sized(one.manifest)):
        assert profile is not None
        if not profile.one_size and works(profile.smallest) and works(profile.largest):
            sides = f"{profile.min_side}–{profile.max_side}"
            sizes.append(f"{sides} × {sides}")
        elif works((profile.opt_width, profile.opt_height)):
            sizes.append(f"{profile.opt_width} × {profile.opt_height}")
    return list(dict.fromkeys(sizes))


def _variant(
    entry: Entry,
    precision: Precision,
    runtime: Runtime,
    host: Host,
    engines: list[Engine],
    resident: dict[str, int],
) -> Variant:
    found = engines_of(entry, precision, runtime, engines)
    complete = len(found) == len(entry.family.engine_modules)
    state, reason = _standing(entry, precision, runtime, host, complete)
    size = sum(engine.manifest.size_bytes for engine in found.values())
    key = variant_key(entry.id, precision, runtime)
    return Variant(
        precision=precision,
        runtime=runtime,
        state=state,
        reason=reason,
        loaded=key in resident,
        memory_bytes=resident.get(key, int(size * WORKING_SHARE)),
    )


def _standing(
    entry: Entry, precision: Precision, runtime: Runtime, host: Host, complete: bool
) -> tuple[VariantState, Text]:
    if complete:
        return VariantState.READY, text("variant.engines_ready")
    if entry.problem:
        return VariantState.IMPOSSIBLE, text("variant.files_missing", problem=entry.problem)
    if not is_here(entry, precision, runtime):
        return VariantState.DOWNLOADABLE, _not_here(entry, precision, runtime)
    target = default_target(runtime, host)
    try:
        edition_for(runtime, target, host)
    except StudioError as error:
        problem = error.info.message()
        return VariantState.IMPOSSIBLE, text("variant.no_tensorrt", problem=problem)
    if target not in (CPU, host.target):
        reason = text("variant.engines_elsewhere", target=target, here=host.target)
        return VariantState.OTHER_GPU, reason
    return VariantState.BUILDABLE, text(
        "variant.engines_missing", model=entry.id, precision=str(precision), runtime=str(runtime)
    )


def _not_here(entry: Entry, precision: Precision, runtime: Runtime) -> Text:
    if offers(entry, precision, runtime):
        repo = preexported.REPOS[entry.id]
        return text("variant.preexported", model=entry.id, precision=str(precision), repo=repo)
    return text("variant.not_here", model=entry.id, size_bytes=entry.size_bytes)
