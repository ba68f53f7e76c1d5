"""Which engine a request for an ONNX file asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contracts import (
    EngineManifest,
    EngineSource,
    NetworkRequest,
    NetworkView,
    Precision,
    Runtime,
    Shapes,
)
from backend.engines.cache import FORMAT, EngineKey, Host
from backend.engines.host import edition_for
from backend.engines.plan import default_target
from backend.errors import Code, StudioError
from backend.language import text
from backend.networks.profile import as_shapes, check_order, propose

MODULE = "onnx"
CONVERSIONS = frozenset({Precision.FP16, Precision.BF16})


@dataclass(frozen=True)
class NetworkBuild:
    key: EngineKey
    shapes: Shapes
    conversion: Precision | None
    """What the file is converted to first; None leaves it as it is."""


def check_network_request(request: NetworkRequest, host: Host) -> str:
    """What can be said before the file is opened; the target to build for.

    Raises StudioError VARIANT_UNKNOWN, TARGET_UNSUPPORTED, TENSORRT_MISSING, PROFILE_INVALID.
    """
    if request.runtime is Runtime.TORCH or request.precision not in (None, *CONVERSIONS):
        raise StudioError(
            Code.VARIANT_UNKNOWN,
            model=Path(request.source.file).name,
            precision=str(request.precision or ""),
            runtime=str(request.runtime),
        )
    check_order(request.shapes)
    on_gpu = request.runtime is Runtime.TENSORRT
    target = (request.target if on_gpu else None) or default_target(request.runtime, host)
    edition_for(request.runtime, target, host)
    return target


def plan_network(
    request: NetworkRequest, view: NetworkView, digest: str, host: Host
) -> NetworkBuild:
    """Raises StudioError as `check_network_request` does, and ONNX_CONVERT_FAILED."""
    target = check_network_request(request, host)
    conversion = None if request.precision is view.precision else request.precision
    if conversion is not None and view.precision is not Precision.FP32:
        raise StudioError(
            Code.ONNX_CONVERT_FAILED,
            problem=text("onnx.converted_already", precision=view.precision.upper()),
        )
    shapes = as_shapes(propose(view.inputs, request.shapes))
    edition = edition_for(request.runtime, target, host)
    tuned_here = edition == "enterprise"
    key = EngineKey(
        model=view.name,
        fingerprint=digest,
        module=MODULE,
        precision=conversion or view.precision,
        runtime=request.runtime,
        edition=edition,
        version=host.versions[edition],
        target=target,
        gpu=host.gpu if tuned_here else None,
        sm_count=host.sm_count if tuned_here else None,
        profile=None,
        options=repr((request.optimization_level, conversion, sorted(shapes.items()))),
    )
    return NetworkBuild(key, shapes, conversion)


def manifest_of(
    build: NetworkBuild, looked: dict[str, Any], made: dict[str, Any], at: float
) -> EngineManifest:
    """`looked` is what `backend.networks.look` found, `made` what the builder answered."""
    key = build.key
    return EngineManifest(
        id=key.id,
        model=key.model,
        module=key.module,
        precision=key.precision,
        runtime=key.runtime,
        edition=key.edition,
        version=key.version,
        target=key.target,
        gpu=key.gpu,
        sm_count=key.sm_count,
        profile=None,
        shapes=build.shapes,
        source=EngineSource.FILE,
        onnx_source=looked["view"]["file"],
        source_mark=looked["mark"],
        file=made["file"],
        file_sha256=made["sha256"],
        onnx_sha256=looked["digest"],
        model_fingerprint=key.fingerprint,
        calibration=None,
        size_bytes=made["size_bytes"],
        build_s=made["build_s"],
        layer_count=made.get("layer_count", looked["view"]["nodes"]),
        relative_error=None,
        created_at=at,
        format=FORMAT,
    )
