"""The doctor's look at the servers of language models."""

from backend.chat.client.capabilities import TITLES
from backend.chat.servers import kinds
from backend.chat.servers.suitable import BOTH
from backend.contracts import ServerKind
from backend.hardware.check import Check, fail, ok, warn
from backend.hardware.gpu import Gpu
from backend.settings import Settings


def check_servers(settings: Settings, gpus: tuple[Gpu, ...]) -> list[Check]:
    """Which kinds are here, and why not the others. Only a machine with a GPU and no server for it
    has something to mend."""
    missing = kinds.missing(settings)
    here = [TITLES[kind] for kind in kinds.SERVERS if kind in BOTH and kind not in missing]
    checks = []
    for kind in kinds.SERVERS:
        name, title = str(kind), TITLES[kind]
        if kind not in missing:
            checks.append(ok(name, f"{title} is here"))
            continue
        reason = missing[kind].render()
        if kind is ServerKind.TRANSFORMERS:
            checks.append(fail(name, reason, "Install again: make clean, then make run"))
        elif not gpus:
            checks.append(ok(name, f"{reason} It is of no use without a GPU."))
        elif here or kind is not ServerKind.TENSORRT_LLM:
            checks.append(ok(name, f"{reason} {_instead(here)}".strip()))
        else:
            checks.append(
                warn(
                    name,
                    f"{reason} Without it and vLLM, chat runs in transformers, more slowly.",
                    f"docker pull {settings.trtllm_image}, or install vLLM:"
                    " pip install -e '.[vllm]'",
                )
            )
    return checks


def _instead(here: list[str]) -> str:
    return f"{here[0]} can serve instead." if here else ""
