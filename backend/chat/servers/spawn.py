"""Start a server behind its guard."""

import json
import os
import socket
import subprocess

from backend.chat.servers.commands import HOST, Launch
from backend.jobs.children import ROOT, python_module

SECRETS = ("STUDIO_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_", "AWS_")
"""What begins so in the environment is nothing to a server."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def server_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}


def spawn(launch: Launch, grace_s: float) -> "subprocess.Popen[str]":
    """The guard, whose standard output has the server's log. Closing its standard input, or this
    process's death, ends the server: asked first, killed after `grace_s`."""
    guard = subprocess.Popen(
        python_module("backend.chat.servers.guard"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=server_environment(),
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert guard.stdin is not None
    orders = {
        "command": launch.argv,
        "environment": launch.environment,
        "cleanup": launch.cleanup,
        "grace_s": grace_s,
    }
    guard.stdin.write(json.dumps(orders) + "\n")
    guard.stdin.flush()
    return guard
