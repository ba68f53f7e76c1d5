"""The servers that the studio can run: how each is found, started, and known to be ready."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.chat.client.capabilities import TITLES
from backend.chat.servers import commands
from backend.chat.servers.commands import Launch
from backend.chat.servers.options import Program, options_of, program_of
from backend.chat.servers.plan import Plan
from backend.contracts import ServerKind
from backend.errors import Code, StudioError
from backend.hardware.gpu import list_gpus
from backend.hardware.software_checks import installed, version
from backend.language import Text, text
from backend.settings import Settings

DOCKER_S = 10.0
TRTLLM_COMMAND = "trtllm-serve"
TRANSFORMERS_RELEASE = "5.14.1"
TRANSFORMERS_OPTIONS = frozenset({"--host", "--port", "--device"})
"""Those of its options that are used. The release that the studio installs is not asked for them:
that takes as long as starting it."""
Found = Program | Text
"""The program, or why it is not there."""


@dataclass(frozen=True)
class Server:
    """One kind of server that runs on this machine."""

    kind: ServerKind
    find: Callable[[Settings], Found]
    help: tuple[Sequence[str], ...]
    """Arguments that print its options, to be tried in turn."""
    build: Callable[[Program, frozenset[str], Plan, int, Path], Launch]
    gate: str
    """Path of the request that only a server that can generate answers: GET, or a completion of
    one token by POST where it is one."""
    lists_model: bool = True
    """Its `/v1/models` names what requests must."""

    @property
    def title(self) -> str:
        return TITLES[self.kind]


def on_path(name: str) -> str | None:
    """A program beside this interpreter, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(name)


def find_trtllm(settings: Settings) -> Found:
    found = on_path(TRTLLM_COMMAND)
    return program_of(found) if found else text("server.no_program", program=TRTLLM_COMMAND)


def find_vllm(settings: Settings) -> Found:
    found = on_path("vllm")
    return program_of(found) if found else text("server.no_program", program="vllm")


def find_transformers(settings: Settings) -> Found:
    found = on_path("transformers")
    if found is None or version("uvicorn") is None:
        return text("server.no_program", program="transformers serve")
    beside = Path(found).parent == Path(sys.executable).parent
    known = beside and version("transformers") == TRANSFORMERS_RELEASE
    return program_of(found, TRANSFORMERS_OPTIONS if known else None)


def find_container(settings: Settings) -> Found:
    """TensorRT-LLM in an image that is here already: pulling some 20 GB is the owner's to do."""
    docker = settings.trtllm_docker.split()[0]
    if shutil.which(docker) is None:
        return text("server.no_program", program=docker)
    try:
        asked = subprocess.run(
            [docker, "image", "inspect", "--format", "{{.Id}}", settings.trtllm_image],
            capture_output=True,
            text=True,
            timeout=DOCKER_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return text("server.docker_silent", problem=repr(error))
    if asked.returncode == 0:
        return Program((TRTLLM_COMMAND,), asked.stdout.strip())
    said = asked.stderr.strip()
    if "no such image" in said.lower():
        return text("server.no_image", image=settings.trtllm_image)
    return text("server.docker_silent", problem=said[:200])


def device() -> str:
    """Where transformers computes: on a GPU only if this torch can."""
    return "cuda" if list_gpus() and installed().torch_cuda else "cpu"


SERVERS: dict[ServerKind, Server] = {
    server.kind: server
    for server in (
        Server(
            ServerKind.TENSORRT_LLM,
            find_trtllm,
            help=(("serve", "--help"),),
            build=commands.trtllm,
            gate="/health_generate",
        ),
        Server(
            ServerKind.CONTAINER,
            find_container,
            help=(("serve", "--help"),),
            build=commands.trtllm,
            gate="/health_generate",
        ),
        Server(
            ServerKind.VLLM,
            find_vllm,
            help=(("serve", "--help=all"), ("serve", "--help")),
            build=commands.vllm,
            gate="/v1/completions",
        ),
        Server(
            ServerKind.TRANSFORMERS,
            find_transformers,
            help=(("serve", "--help"),),
            build=lambda *given: commands.transformers(device())(*given),
            gate="/v1/completions",
            lists_model=False,
        ),
    )
}


def missing(settings: Settings) -> dict[ServerKind, Text]:
    """Why kinds of servers are not on this machine; those that are there are left out."""
    found = {kind: server.find(settings) for kind, server in SERVERS.items()}
    return {kind: reason for kind, reason in found.items() if isinstance(reason, Text)}


def learn(
    settings: Settings, kind: ServerKind, check: Callable[[], None] = lambda: None
) -> tuple[Program, frozenset[str]]:
    """The program of a kind and its options, for which it is asked the first time: that takes a
    while, and `check` ends it by raising.

    Raises StudioError SERVER_NOT_FOUND, SERVER_START_FAILED.
    """
    server = SERVERS[kind]
    program = server.find(settings)
    if isinstance(program, Text):
        raise StudioError(Code.SERVER_NOT_FOUND, server=server.title, reason=program)
    asked = _boxed(settings, program) if kind is ServerKind.CONTAINER else program
    return program, options_of(settings, asked, server.help, "--port", check)


def launch(settings: Settings, plan: Plan, port: int, name: str) -> Launch:
    """The process that serves `plan` at `port`; `name` is that of its container, where it is in
    one.

    Raises what `learn` raises, and StudioError SETTING_INVALID.
    """
    program, options = learn(settings, plan.kind)
    made = SERVERS[plan.kind].build(program, options, plan, port, settings.home / "servers")
    if plan.kind is ServerKind.CONTAINER:
        return commands.in_container(settings, made, plan, name)
    return made


def _boxed(settings: Settings, program: Program) -> Program:
    """A program as it is asked for its options: in its container, without the model."""
    docker = settings.trtllm_docker.split()[0]
    argv = (docker, "run", "--rm", "--gpus", "all", settings.trtllm_image, *program.argv)
    return Program(argv, program.stamp)
