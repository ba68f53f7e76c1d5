"""The command that starts a server, made of the options that it takes."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend.chat.servers.options import Program
from backend.chat.servers.plan import Plan
from backend.errors import Code, StudioError
from backend.settings import Settings

HOST = "127.0.0.1"
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRTLLM_NO_USAGE_STATS": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""No telemetry, no look for newer releases, no hub: all files are here."""
MIN_BATCHED_TOKENS = 2048


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    """Set beside the studio's own environment."""
    model_id: str | None
    """What requests must name; None is what the server lists."""
    files: dict[Path, str] = field(default_factory=dict)
    """To be written first."""
    cleanup: tuple[str, ...] = ()
    """To be run when the process has gone."""


class Arguments:
    """A command under construction, of the options that are offered."""

    def __init__(self, program: Program, options: frozenset[str], *first: str) -> None:
        self.argv = [*program.argv, *first]
        self._program, self._options = program, options

    def must(self, option: str, value: object) -> None:
        """Raises StudioError SERVER_START_FAILED where the option is not offered: the server could
        not be kept within its limits without it."""
        if not self.may((option,), value):
            problem = f"{' '.join(self._program.argv)} does not take {option}"
            raise StudioError(Code.SERVER_START_FAILED, problem=problem)

    def may(self, names: tuple[str, ...], value: object = None) -> bool:
        """The first of the names that is offered; whether any is."""
        for name in names:
            if name in self._options:
                self.argv += [name] if value is None else [name, str(value)]
                return True
        return False


def trtllm(
    program: Program, options: frozenset[str], plan: Plan, port: int, folder: Path
) -> Launch:
    """`trtllm-serve serve`, 1.0 and newer. The cache's limit is in a file, all else in options:
    releases differ in which of the two wins, so no key is ever in both. JSON is YAML, too."""
    arguments = Arguments(program, options, "serve", plan.model.folder)
    arguments.must("--host", HOST)
    arguments.must("--port", port)
    arguments.must("--max_seq_len", plan.context_tokens)
    arguments.must("--max_batch_size", plan.parallel)
    arguments.may(("--max_num_tokens",), max(MIN_BATCHED_TOKENS, plan.context_tokens))
    arguments.may(("--served_model_name",), plan.model.name)
    arguments.may(("--no-telemetry",))
    file = folder / f"trtllm-{port}.yaml"
    if not arguments.may(("--config", "--extra_llm_api_options"), file):
        arguments.must("--config", file)
    limits = {"kv_cache_config": {"max_tokens": plan.cache_tokens}}
    environment = dict(QUIET)
    if 2 * plan.model.weights_bytes > plan.machine_bytes:
        environment["TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL"] = "1"
    return Launch(tuple(arguments.argv), environment, None, {file: json.dumps(limits)})


def vllm(program: Program, options: frozenset[str], plan: Plan, port: int, folder: Path) -> Launch:
    """`vllm serve`. The share of memory is given even where the cache has a limit of its own: vLLM
    looks for that much before it starts."""
    arguments = Arguments(program, options, "serve", plan.model.folder)
    arguments.must("--host", HOST)
    arguments.must("--port", port)
    arguments.must("--max-model-len", plan.context_tokens)
    arguments.must("--gpu-memory-utilization", plan.memory_share)
    arguments.may(("--kv-cache-memory-bytes",), plan.cache_bytes)
    arguments.may(("--max-num-seqs",), plan.parallel)
    arguments.may(("--served-model-name",), plan.model.name)
    return Launch(tuple(arguments.argv), dict(QUIET), None)


def transformers(device: str) -> Callable[..., Launch]:
    """`transformers serve` on a device. Without continuous batching, which takes the sampling of
    the first request for all (5.14)."""

    def build(
        program: Program, options: frozenset[str], plan: Plan, port: int, folder: Path
    ) -> Launch:
        arguments = Arguments(program, options, "serve", plan.model.folder)
        arguments.must("--host", HOST)
        arguments.must("--port", port)
        arguments.must("--device", device)
        return Launch(tuple(arguments.argv), dict(QUIET), plan.model.folder)

    return build


def in_container(settings: Settings, launch: Launch, plan: Plan, name: str) -> Launch:
    """The same command in TensorRT-LLM's container: the model's files and the launch's own are seen
    under their own paths, read-only."""
    folder = Path(plan.model.folder)
    storage = folder.parents[1] if folder.parent.name == "snapshots" else folder
    volumes = [f"-v {shlex.quote(f'{path}:{path}:ro')}" for path in (storage, *launch.files)]
    environment = [f"-e {key}={value}" for key, value in sorted(launch.environment.items())]
    try:
        docker = settings.trtllm_docker.format(
            name=name,
            volumes=" ".join(volumes),
            environment=" ".join(environment),
            image=settings.trtllm_image,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise StudioError(
            Code.SETTING_INVALID, name="trtllm_docker", problem=f"unknown {error}"
        ) from error
    argv = (*shlex.split(docker), *launch.argv)
    return Launch(argv, {}, launch.model_id, launch.files, (argv[0], "rm", "--force", name))
