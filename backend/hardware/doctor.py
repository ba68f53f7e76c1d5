"""The doctor: is everything here that the studio needs, and if not, what to do."""

import getpass
import os
import platform
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.chat.servers.check import check_servers
from backend.hardware.check import Check, warn
from backend.hardware.gpu import list_gpus
from backend.hardware.host import group_memory, host_memory
from backend.hardware.machine_checks import (
    check_disk,
    check_driver,
    check_gpus,
    check_memory,
    check_python,
)
from backend.hardware.service_checks import (
    GATED_REPOSITORIES,
    check_database,
    check_docker,
    check_home,
    check_hub_access,
    check_hub_token,
    check_port,
)
from backend.hardware.software_checks import (
    REPORTED_PACKAGES,
    check_modelopt,
    check_tensorrt,
    check_torch,
    installed,
    version,
)
from backend.settings import Settings


def run(settings: Settings, hub: bool = False) -> list[Check]:
    """Look at everything; `hub` also asks huggingface.co about gated models. Never raises."""
    gpus = list_gpus()
    software = installed()
    questions: list[tuple[str, Callable[[], Check | list[Check]]]] = [
        ("python", check_python),
        ("gpu", lambda: check_gpus(gpus)),
        ("driver", lambda: check_driver(gpus)),
        ("memory", lambda: check_memory(gpus, host_memory(), group_memory())),
        ("disk", lambda: check_disk(settings.home)),
        ("torch", lambda: check_torch(software, gpus)),
        ("tensorrt", lambda: check_tensorrt(software, gpus)),
        ("modelopt", lambda: check_modelopt(software)),
        ("servers", lambda: check_servers(settings, gpus)),
        ("home", lambda: check_home(settings.home)),
        ("database", lambda: check_database(settings.home, settings.database_url)),
        ("port", lambda: check_port(settings.host, settings.port)),
        ("docker", check_docker),
        ("hub_token", check_hub_token),
    ]
    if hub:
        questions.append(("hub", lambda: [check_hub_access(name) for name in GATED_REPOSITORIES]))
    checks: list[Check] = []
    for name, question in questions:
        answer = _asked(name, question)
        checks += answer if isinstance(answer, list) else [answer]
    return checks


def report(home: Path, checks: list[Check]) -> dict[str, Any]:
    """What to attach to a bug report: machine, versions and checks; no secret, no user name."""
    memory = host_memory()
    facts = {
        "studio": version("spark-studio"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "home": str(home),
        "gpus": [
            {key: value for key, value in asdict(gpu).items() if key != "uuid"}
            for gpu in list_gpus()
        ],
        "packages": {name: version(name) for name in REPORTED_PACKAGES},
        "checks": [asdict(check) for check in checks],
    }
    redacted: dict[str, Any] = _without_names(facts, str(Path.home()), getpass.getuser())
    return redacted


def _asked(name: str, question: Callable[[], Check | list[Check]]) -> Check | list[Check]:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  a doctor that falls over helps nobody
        return warn(
            name,
            f"could not be checked ({type(error).__name__}: {error})",
            "Please report this with the output of `spark-studio doctor --report`.",
        )


def _without_names(value: Any, home: str, user: str) -> Any:
    if isinstance(value, str):
        shown = value.replace(home, "~") if home != "/" else value
        return re.sub(rf"(?<=/){re.escape(user)}(?=/|$)", "user", shown)
    if isinstance(value, dict):
        return {key: _without_names(inner, home, user) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_names(inner, home, user) for inner in value]
    return value
