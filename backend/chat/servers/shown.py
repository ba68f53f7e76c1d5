"""The commands that start a server elsewhere, to be copied: built as the studio's own are, of
options that all releases known here take. Not yet verified on this hardware."""

import shlex
from dataclasses import dataclass, replace

from backend.chat.client.capabilities import TITLES
from backend.chat.servers.commands import QUIET, Launch, in_container, trtllm, vllm
from backend.chat.servers.kinds import TRTLLM_COMMAND
from backend.chat.servers.options import Program
from backend.chat.servers.plan import Plan, make_plan
from backend.chat.servers.suitable import MODELOPT_FORMATS, Machine, why_not
from backend.contracts import LanguageModel, ServeCommand, ServeRequest, ServerKind
from backend.language import text
from backend.settings import Settings

PORT = 8000
TRTLLM_OPTIONS = frozenset(
    {"--host", "--port", "--max_seq_len", "--max_batch_size", "--max_num_tokens"}
    | {"--extra_llm_api_options"}
)
VLLM_OPTIONS = frozenset(
    {"--host", "--port", "--max-model-len", "--gpu-memory-utilization", "--kv-cache-memory-bytes"}
    | {"--max-num-seqs", "--served-model-name"}
)
VLLM_DOCKER = (
    "docker run --rm --init --name {name} --gpus all --ipc=host --network host"
    " {volumes} {environment} --entrypoint vllm {image}"
)
VLLM_IMAGE = "vllm/vllm-openai:latest"


@dataclass(frozen=True)
class _Way:
    server: str
    kind: ServerKind
    docker: bool


WAYS = (
    _Way(TITLES[ServerKind.TENSORRT_LLM], ServerKind.TENSORRT_LLM, False),
    _Way(TITLES[ServerKind.TENSORRT_LLM], ServerKind.CONTAINER, True),
    _Way(TITLES[ServerKind.VLLM], ServerKind.VLLM, False),
    _Way(TITLES[ServerKind.VLLM], ServerKind.VLLM, True),
)


def serve_commands(
    settings: Settings, model: LanguageModel, machine: Machine
) -> tuple[ServeCommand, ...]:
    """Each way to serve a quantised model, with the limits that the studio would set on a machine
    with this one's memory; those that no machine has refuse with why."""
    return tuple(_command(settings, model, machine, way) for way in WAYS)


def _command(settings: Settings, model: LanguageModel, machine: Machine, way: _Way) -> ServeCommand:
    where = "docker" if way.docker else "native"
    request = ServeRequest(model=model.name, kind=way.kind)
    plan = make_plan(settings, request, model, machine.total_bytes)
    form = MODELOPT_FORMATS.get(str(model.algorithm).upper())
    best = Machine(min(form.parts) if form else (0, 0), plan.total_bytes, {})
    never = why_not(way.kind, model, best, plan.total_bytes)
    if never is not None:
        return ServeCommand(server=way.server, where=where, command=None, reason=never, here=False)
    local = why_not(way.kind, model, machine, plan.total_bytes)
    return ServeCommand(
        server=way.server,
        where=where,
        command=_line(settings, plan, way),
        reason=local or text("server.suitable"),
        here=local is None,
    )


def _line(settings: Settings, plan: Plan, way: _Way) -> str:
    folder = settings.home / "servers"
    if way.kind is ServerKind.VLLM:
        launch = vllm(Program(("vllm",), ""), VLLM_OPTIONS, plan, PORT, folder)
    else:
        launch = trtllm(Program((TRTLLM_COMMAND,), ""), TRTLLM_OPTIONS, plan, PORT, folder)
    own = {name: value for name, value in launch.environment.items() if name not in QUIET}
    launch = replace(launch, environment=own)
    if not way.docker:
        return _shell(launch)
    if way.kind is ServerKind.VLLM:
        launch = replace(launch, argv=launch.argv[1:])
        chosen = {"trtllm_docker": VLLM_DOCKER, "trtllm_image": VLLM_IMAGE}
        settings = settings.model_copy(update=chosen)
    return _shell(in_container(settings, launch, plan, "spark-studio-model"))


def _shell(launch: Launch) -> str:
    """Files first, then the command."""
    lines = []
    for file, content in launch.files.items():
        lines.append(f"mkdir -p {shlex.quote(str(file.parent))}")
        lines.append(f"echo {shlex.quote(content)} > {shlex.quote(str(file))}")
    words = [f"{name}={shlex.quote(value)}" for name, value in launch.environment.items()]
    return "\n".join((*lines, " ".join((*words, shlex.join(launch.argv)))))
