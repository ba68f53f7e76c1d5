import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.models import files
from backend.settings import Settings
from backend.studio import Studio
from tests.support import running_worker
from tests.tiny_flux import NAME as TINY
from tests.tiny_flux import build_tiny, make_tiny_flux

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Of this process, when torch comes, and of those that it starts. Sums come in the same order
everywhere, and no thread waits by spinning while other processes want the core."""
DEBIAN_POSTGRES = "/usr/lib/postgresql"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    installed = sorted(Path(DEBIAN_POSTGRES).glob(f"*/bin/{name}"))
    if not installed:
        pytest.skip(f"{name} is not installed")
    return str(installed[-1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real Postgres server of our own; its URL without a database's name.

    Postgres does not run as root, so a root test session hands it to `nobody`.
    """
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="studio-postgres-"))
    data, port = folder / "data", free_port()
    if os.geteuid() == 0:
        shutil.chown(folder, user)

    def run(name: str, *arguments: str) -> None:
        subprocess.run(
            [_program(name), *arguments], check=True, cwd=folder, capture_output=True, user=user
        )

    run("initdb", "-D", str(data), "-U", "studio", "--auth=trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql://studio@127.0.0.1:{port}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sdxl_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models for STUDIO_MODELS: an SDXL pipeline with random weights."""
    from tests.tiny_sdxl import make_sdxl

    root = tmp_path_factory.mktemp("sdxl")
    make_sdxl(root / "tiny-sdxl")
    return root


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with the tiny FLUX in it, for engines that are made in a few seconds."""
    return make_tiny_flux(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """Where the tiny model's plain exports are kept, each made once for all tests: inside the
    folder that a home calls `onnx`."""
    fingerprint = files.fingerprint(tiny_models / TINY, {})
    return tmp_path_factory.mktemp("onnx") / f"{TINY}.{fingerprint[:12]}"


@pytest.fixture(scope="session")
def tiny_engines(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, tiny_exports: Path
) -> Path:
    """A home with the tiny model's FP32 and INT8 engines in ONNX Runtime, to be copied from:
    calibrated, exported and built by a real worker and its children."""
    home = tmp_path_factory.mktemp("tiny-engines")
    (home / "onnx").symlink_to(tiny_exports.parent)
    studio = Studio(Settings(home=home, models=(tiny_models,)))
    with running_worker(studio.settings):
        for precision in ("fp32", "int8"):
            build_tiny(studio, precision=precision, runtime="onnxruntime")
    studio.close()
    return home


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own, on SQLite."""
    return Settings(home=tmp_path / "home")


@pytest.fixture(params=["sqlite", "postgres"])
def any_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """The same home on each kind of database."""
    if request.param == "sqlite":
        return settings
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"studio_{os.getpid()}_{free_port()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return settings.model_copy(update={"database_url": f"{server}/{name}"})


@pytest.fixture
def studio(settings: Settings) -> Iterator[Studio]:
    studio = Studio(settings)
    yield studio
    studio.close()


@pytest.fixture
def any_studio(any_settings: Settings) -> Iterator[Studio]:
    studio = Studio(any_settings)
    yield studio
    studio.close()
