"""What this machine offers to engines, found without loading a runtime."""

from functools import cache
from importlib.metadata import version

from backend.contracts import Runtime
from backend.engines.cache import Host
from backend.errors import Code, StudioError
from backend.hardware.capability import choose_edition, parse_target, target_name
from backend.hardware.gpu import list_gpus
from backend.hardware.software_checks import installed, numbers

CPU = "cpu"
ONNXRUNTIME = "onnxruntime"


def this_host(gpu: int = 0) -> Host:
    gpus = list_gpus()
    here = gpus[gpu] if gpu < len(gpus) else None
    capability = here.compute_capability if here else None
    return Host(
        target=target_name(capability) if capability else CPU,
        gpu=here.name if here else None,
        sm_count=here.sm_count if here else None,
        versions=installed_editions(),
    )


@cache
def installed_editions() -> dict[str, str]:
    """Version of each edition, as it was when this process first asked."""
    software = installed()
    versions = {
        ONNXRUNTIME: version("onnxruntime"),
        "enterprise": software.tensorrt,
        "rtx": software.rtx_bindings,
    }
    return {edition: found for edition, found in versions.items() if found}


def edition_for(runtime: Runtime, target: str, host: Host) -> str:
    """Which edition builds for `target` on this host. Raises StudioError TENSORRT_MISSING,
    TARGET_UNSUPPORTED."""
    if runtime is Runtime.ONNXRUNTIME:
        return ONNXRUNTIME
    try:
        capability = parse_target(target)
    except ValueError as error:
        raise StudioError(Code.TARGET_UNSUPPORTED, str(error), target=target) from error
    enterprise = numbers(host.versions.get("enterprise")) if target == host.target else None
    choice = choose_edition(capability, enterprise, numbers(host.versions.get("rtx")))
    if choice.edition is None:
        code = Code.TARGET_UNSUPPORTED if host.versions.get("rtx") else Code.TENSORRT_MISSING
        raise StudioError(code, choice.reason, target=target, problem=choice.reason)
    return choice.edition
