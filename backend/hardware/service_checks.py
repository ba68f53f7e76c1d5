"""The doctor's look at what the studio talks to: home, database, port, hub, Docker."""

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from backend.errors import StudioError
from backend.hardware.check import Check, fail, ok, warn
from backend.hardware.machine_checks import existing
from backend.hardware.trouble import remedy

GATED_REPOSITORIES = (
    "black-forest-labs/FLUX.1-dev",
    "black-forest-labs/FLUX.1-dev-onnx",
    "black-forest-labs/FLUX.1-schnell",
    "black-forest-labs/FLUX.1-schnell-onnx",
)
_TIMEOUT_S = 3


def check_home(home: Path) -> Check:
    folder = existing(home)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ok("home", str(home))
    except OSError as error:
        return fail(
            "home",
            f"{folder} cannot be written: {error.strerror}",
            "Set STUDIO_HOME to a folder of yours, or correct the folder's owner.",
        )


def check_database(home: Path, url: str) -> Check:
    """SQLite needs only the home folder; Postgres must answer and let the studio make tables."""
    name = "database"
    if not url:
        return ok(name, f"SQLite in {home}")
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        return fail(
            name,
            f"{parts.scheme or 'no'} database is not supported",
            "STUDIO_DATABASE_URL is postgresql://user@host/name, or unset for SQLite.",
        )
    shown = f"Postgres at {parts.hostname or 'the local socket'}{parts.path}"
    import psycopg

    address = parts._replace(scheme="postgresql").geturl()
    try:
        with psycopg.connect(address, connect_timeout=_TIMEOUT_S) as connection:
            row = connection.execute(
                "select has_database_privilege(current_database(), 'CREATE')"
            ).fetchone()
    except psycopg.Error as error:
        return fail(
            name,
            f"{shown} cannot be used: {_reason(str(error))}",
            "Check that the server runs and STUDIO_DATABASE_URL's user, password, host and name.",
        )
    if not row or not row[0]:
        return fail(
            name,
            f"{shown}: this user may not create the studio's tables",
            "Grant it: grant create on database NAME to USER;",
        )
    return ok(name, shown)


def _reason(message: str) -> str:
    """What the server said, without the names in it, or that it said nothing."""
    said = re.search(r"FATAL:\s+(.+)", message)
    return re.sub(r'"[^"]*"', "...", said.group(1)) if said else "it does not answer"


def check_port(host: str, port: int) -> Check:
    shown = f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        if _answers(host, port):
            return ok("port", f"{shown} is taken by a studio that is running")
        return fail(
            "port",
            f"{shown} cannot be used: {error.strerror or error}",
            "Choose another with STUDIO_PORT or `serve --port`; 0 takes any free one.",
        )
    return ok("port", f"{shown} is free")


def _answers(host: str, port: int) -> bool:
    address = f"[{host}]" if ":" in host else host
    try:
        with urlopen(f"http://{address}:{port}/healthz", timeout=_TIMEOUT_S) as response:
            return b'"worker"' in response.read(4096)
    except (URLError, OSError, ValueError):
        return False


def check_hub_token() -> Check:
    """Whether a Hugging Face token is there; its value is never shown."""
    from huggingface_hub import get_token

    if get_token():
        return ok("hub_token", "a Hugging Face token is set")
    return warn(
        "hub_token",
        "no Hugging Face token: gated models such as FLUX.1 cannot be downloaded",
        remedy("HUB_TOKEN"),
    )


def check_hub_access(repository: str) -> Check:
    """Whether the token may download from a repository. Asks huggingface.co."""
    from backend.models.hub import check_access

    name = f"hub:{repository}"
    try:
        check_access(repository)
    except StudioError as error:
        return warn(name, error.info.message(), error.info.hint())
    return ok(name, "may be downloaded")


def check_docker(sock: Path = Path("/var/run/docker.sock")) -> Check:
    if shutil.which("docker") is None or not sock.exists():
        return ok("docker", "no Docker here; only NVIDIA's containers need it")
    if os.access(sock, os.R_OK | os.W_OK):
        return ok("docker", "Docker may be used")
    return warn("docker", f"permission denied on {sock}", remedy("DOCKER_SOCKET"))
