"""Which engines a request asks for."""

from dataclasses import dataclass

from backend.contracts import EngineProfile, EngineRequest, EngineSource, Precision, Runtime
from backend.engines.cache import EngineKey, Host
from backend.engines.host import CPU, edition_for
from backend.engines.options import check_builder, check_unquantised, is_calibrated, recipe_of
from backend.engines.sources import fingerprint, module_precisions, source_of
from backend.errors import Code, StudioError
from backend.models.catalog import Entry

DEFAULT_TARGET = "sm121"
"""What is built for where there is no GPU: a DGX Spark."""


@dataclass(frozen=True)
class ModuleBuild:
    key: EngineKey
    base: Precision
    """Precision of the plain export; the engine's own may be lower."""
    source: EngineSource


def engine_runtimes(precision: Precision) -> tuple[Runtime, ...]:
    """The runtimes that can have engines of a precision: ONNX Runtime's CPU provider computes
    neither BF16 nor FP4, and FP16 no faster than FP32."""
    if precision in (Precision.FP32, Precision.INT8, Precision.FP8):
        return (Runtime.ONNXRUNTIME, Runtime.TENSORRT)
    return (Runtime.TENSORRT,)


def full_profile(entry: Entry) -> EngineProfile:
    limits = entry.limits
    return EngineProfile(
        min_side=limits.min_side,
        max_side=limits.max_side,
        opt_width=limits.native_width,
        opt_height=limits.native_height,
    )


def default_target(runtime: Runtime, host: Host) -> str:
    """What is built for when nothing else is asked."""
    if runtime is Runtime.ONNXRUNTIME:
        return CPU
    return host.target if host.target != CPU else DEFAULT_TARGET


def plan_builds(request: EngineRequest, entry: Entry, host: Host) -> tuple[ModuleBuild, ...]:
    """One build a module. While its source is not here yet the fingerprint in its key is empty, and
    its id that of no engine: the plan is made again when all is fetched.

    Raises StudioError VARIANT_UNKNOWN, TARGET_UNSUPPORTED, TENSORRT_MISSING, PROFILE_INVALID,
    INVALID_REQUEST, RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN, GPU_NEEDED, PREEXPORTED_MISSING."""
    if request.precision not in entry.engine_precisions or request.runtime not in engine_runtimes(
        request.precision
    ):
        raise StudioError(
            Code.VARIANT_UNKNOWN,
            model=entry.id,
            precision=str(request.precision),
            runtime=str(request.runtime),
        )
    source = source_of(request, entry)
    profile = request.profile or full_profile(entry)
    check_profile(profile, entry)
    on_cpu = request.runtime is Runtime.ONNXRUNTIME
    target = (
        request.target if request.target and not on_cpu else default_target(request.runtime, host)
    )
    edition = edition_for(request.runtime, target, host)
    tuned_here = edition == "enterprise"
    modules = module_precisions(entry, source, request.precision, on_cpu)
    if request.module is not None and request.module not in modules:
        raise StudioError(Code.INVALID_REQUEST, problem=f"a module is one of {', '.join(modules)}")
    check_builder(request, host)
    builder = (
        request.optimization_level,
        request.workspace_bytes,
        request.weight_streaming,
        request.refit,
    )
    calibration = None
    if is_calibrated(request, entry):
        calibration = (recipe_of(request, entry), request.prompts)
    else:
        check_unquantised(request)
    return tuple(
        ModuleBuild(
            key=EngineKey(
                model=entry.id,
                fingerprint=fingerprint(entry, source, request.precision, module),
                module=module,
                precision=precision,
                runtime=request.runtime,
                edition=edition,
                version=host.versions[edition],
                target=target,
                gpu=host.gpu if tuned_here else None,
                sm_count=host.sm_count if tuned_here else None,
                profile=profile,
                options=repr((builder, calibration if precision is not base else None, base)),
            ),
            base=base,
            source=source,
        )
        for module, (base, precision) in modules.items()
        if request.module in (None, module)
    )


def check_profile(profile: EngineProfile, entry: Entry) -> None:
    """Raises StudioError PROFILE_INVALID."""
    limits = entry.limits
    sides = (profile.min_side, profile.opt_width, profile.opt_height, profile.max_side)
    problem = ""
    if any(side % limits.multiple for side in sides):
        problem = f"its sides must be multiples of {limits.multiple}"
    elif not limits.min_side <= profile.min_side <= profile.max_side <= limits.max_side:
        problem = f"its bounds must lie within {limits.min_side} to {limits.max_side}"
    elif not profile.takes(profile.opt_width, profile.opt_height):
        problem = "the size it is tuned for lies outside its bounds"
    elif profile.static and profile != EngineProfile.of_size(
        profile.opt_width, profile.opt_height, profile.max_batch
    ):
        problem = "a static engine has one size, no bounds"
    elif not 1 <= profile.max_batch <= limits.max_count:
        problem = f"its batch must lie within 1 to {limits.max_count}"
    if problem:
        raise StudioError(Code.PROFILE_INVALID, problem=problem)
