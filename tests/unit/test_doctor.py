import getpass
import http.server
import json
import shutil
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.chat.servers.check import check_servers
from backend.chat.servers.kinds import missing
from backend.hardware import doctor, host, machine_checks, service_checks, software_checks
from backend.hardware.gpu import list_gpus
from backend.hardware.host import GroupMemory
from backend.hardware.software_checks import Installed
from backend.hardware.trouble import TROUBLES, recognise, remedy
from backend.settings import Settings
from tests.unit import machines

SPARK = host.parse_meminfo(machines.GB10_MEMINFO)
LAPTOP = host.parse_meminfo(machines.LAPTOP_MEMINFO)
SOFTWARE = Installed(
    torch="2.13.0+cpu",
    torch_cuda=None,
    modelopt="0.47.0",
    transformers="5.14.1",
    tensorrt=None,
    rtx_bindings="1.7.1.116",
    rtx_library="1.7.1",
)


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)


def test_the_doctor_looks_at_everything_and_every_worry_has_a_hint(tmp_path):
    checks = doctor.run(Settings(home=tmp_path / "not yet" / "there", port=0))
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    assert {
        "python", "driver", "memory", "disk", "torch", "tensorrt", "tensorrt_rtx",
        "tensorrt_edition", "modelopt", "tensorrt_llm", "vllm", "transformers", "home",
        "database", "port", "docker", "hub_token",
    } <= set(names)  # fmt: skip
    assert all(check.detail for check in checks)
    assert all(bool(check.hint) == (check.status != "ok") for check in checks)


def test_a_check_that_falls_over_becomes_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "check_docker", lambda: 1 / 0)
    (docker,) = [check for check in doctor.run(Settings(home=tmp_path)) if check.name == "docker"]
    assert docker.status == "warn"
    assert "ZeroDivisionError" in docker.detail


def test_the_report_has_versions_and_neither_secret_nor_name(monkeypatch, tmp_path):
    home = tmp_path / "users" / "ada"
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secret")
    checks = doctor.run(
        Settings(home=home / "studio", database_url="postgresql://ada:hush@127.0.0.1:1/studio")
    )
    text = json.dumps(doctor.report(Path("/mnt/ada/studio"), checks))
    facts = json.loads(text)
    assert facts["packages"]["torch"]
    assert facts["home"] == "/mnt/user/studio"
    assert "~/studio" in text
    for private in ("/ada", "hf_secret", "hush"):
        assert private not in text


@pytest.mark.parametrize(
    ("version", "status"), [((3, 9), "fail"), ((3, 10), "ok"), ((3, 12), "ok"), ((3, 13), "fail")]
)
def test_python(version, status):
    assert machine_checks.check_python(version).status == status


def test_a_sparks_silence_about_memory_is_explained_as_harmless():
    (check,) = machine_checks.check_gpus(list_gpus(machines.gb10()))
    assert check.status == "ok"
    assert "sm121" in check.detail
    assert "nvfp4" in check.detail
    assert "harmless" in check.detail


def test_gpus_that_are_old_hidden_or_missing():
    old = machines.FakeNvml(machines.FakeGpu("Tesla V100", (7, 0), 5120, 16384))
    assert machine_checks.check_gpus(list_gpus(old))[0].status == "warn"
    (hidden,) = machine_checks.check_gpus((), ("/dev/nvidia0",))
    assert hidden.status == "warn"
    assert "--gpus all" in hidden.hint


def test_the_driver_must_know_cuda_13():
    assert machine_checks.check_driver(list_gpus(machines.rtx_4090())).status == "ok"
    assert machine_checks.check_driver(list_gpus(machines.h200())).status == "warn"
    assert machine_checks.check_driver(()).status == "ok"


def test_memory_names_the_page_cache_trap_and_the_containers_limit():
    trap = machine_checks.check_memory(list_gpus(machines.gb10()), SPARK, None)
    assert trap.status == "warn"
    assert "drop_caches" in trap.hint
    plain = machine_checks.check_memory((), SPARK, GroupMemory(4 << 30, 0))
    assert plain.status == "ok"
    assert "4.0 GiB" in plain.detail


@pytest.mark.parametrize(("free", "status"), [(10**8, "fail"), (5 * 10**9, "warn"), (10**11, "ok")])
def test_disk(monkeypatch, tmp_path, free, status):
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert machine_checks.check_disk(tmp_path).status == status


def test_a_cpu_build_of_torch_is_a_worry_only_with_a_gpu():
    gpus = list_gpus(machines.rtx_4090())
    assert software_checks.check_torch(SOFTWARE, ()).status == "ok"
    assert software_checks.check_torch(SOFTWARE, gpus).status == "warn"
    cuda = replace(SOFTWARE, torch="2.13.0", torch_cuda="13.0")
    assert software_checks.check_torch(cuda, gpus).status == "ok"
    assert software_checks.check_torch(replace(SOFTWARE, torch=None), ()).status == "fail"


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("cuda: Optional[str] = '13.0'\nhip = None", "13.0"),
        ('cuda = "12.9"', "12.9"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '7.0'", None),
    ],
)
def test_torchs_cuda_version_is_read_not_imported(text, cuda):
    assert software_checks.parse_torch_cuda(text) == cuda


@pytest.mark.parametrize(
    ("nvml", "changes", "statuses"),
    [
        (machines.rtx_4090, {}, "ok ok ok"),
        (machines.gb10, {"tensorrt": "10.14.1.48"}, "ok ok ok"),
        (machines.h200, {}, "ok ok warn"),
        (machines.rtx_4090, {"rtx_library": "1.6.0"}, "ok warn ok"),
        (machines.rtx_4090, {"rtx_library": None}, "ok warn ok"),
        (machines.rtx_4090, {"rtx_bindings": None, "rtx_library": None}, "ok ok warn"),
    ],
)
def test_tensorrt_editions(nvml, changes, statuses):
    checks = software_checks.check_tensorrt(replace(SOFTWARE, **changes), list_gpus(nvml()))
    assert [check.name for check in checks] == ["tensorrt", "tensorrt_rtx", "tensorrt_edition"]
    assert " ".join(check.status for check in checks) == statuses


def test_modelopt():
    assert software_checks.check_modelopt(SOFTWARE).status == "ok"
    assert software_checks.check_modelopt(replace(SOFTWARE, modelopt=None)).status == "fail"
    newer = replace(SOFTWARE, transformers="5.15.0")
    assert software_checks.check_modelopt(newer).status == "warn"


@pytest.mark.parametrize(
    ("gpu", "programs", "statuses"),
    [
        (False, {"transformers"}, "ok ok ok ok"),
        (True, {"transformers"}, "warn ok ok ok"),
        (True, {"transformers", "vllm"}, "ok ok ok ok"),
        (True, {"trtllm-serve"}, "ok ok ok fail"),
    ],
)
def test_servers_are_missing_for_the_reasons_that_the_chat_gives(
    monkeypatch, tmp_path, gpu, programs, statuses
):
    programs_here = {name: str(tmp_path / name) for name in programs}
    for file in programs_here.values():
        Path(file).touch()
    monkeypatch.setattr("backend.chat.servers.kinds.on_path", programs_here.get)
    settings = Settings(home=tmp_path, trtllm_docker="no-such-docker run")
    checks = check_servers(settings, list_gpus(machines.gb10()) if gpu else ())
    assert " ".join(check.status for check in checks) == statuses
    reasons = {str(kind): reason for kind, reason in missing(settings).items()}
    for check in checks:
        if check.name in reasons:
            assert check.detail.startswith(reasons[check.name].render())
            assert bool(check.hint) == (check.status != "ok")


def test_a_home_that_cannot_be_written(monkeypatch, tmp_path):
    assert service_checks.check_home(tmp_path / "new").status == "ok"

    def refuse(**arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert service_checks.check_home(tmp_path).status == "fail"


def test_databases(tmp_path):
    assert service_checks.check_database(tmp_path, "").status == "ok"
    assert service_checks.check_database(tmp_path, "mysql://host/name").status == "fail"
    away = service_checks.check_database(tmp_path, "postgresql://ada:hush@127.0.0.1:1/studio")
    assert away.status == "fail"
    assert "Postgres at 127.0.0.1/studio" in away.detail
    assert "hush" not in str(away)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('failed: FATAL:  password authentication failed for user "ada"\n', "for user ..."),
        ('failed: FATAL:  database "x" does not exist', "database ... does not exist"),
        ("connection refused", "does not answer"),
    ],
)
def test_a_databases_refusal_is_told_without_names(message, reason):
    assert reason in service_checks._reason(message)


@contextmanager
def served(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_port_that_is_free_taken_or_our_own():
    assert service_checks.check_port("127.0.0.1", 0).status == "ok"
    with served(b'{"status": "ok", "version": "0.1.0", "worker": "alive"}') as port:
        assert service_checks.check_port("127.0.0.1", port).status == "ok"
    with served(b"<html>") as port:
        assert service_checks.check_port("127.0.0.1", port).status == "fail"


def test_the_hub_is_asked_about_gated_models(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    def answer(self, repository):
        if repository.endswith("dev"):
            raise GatedRepoError.__new__(GatedRepoError)
        if repository.endswith("dev-onnx"):
            raise TimeoutError("connection timed out")

    monkeypatch.setattr("huggingface_hub.HfApi.auth_check", answer)
    dev, onnx, schnell, _ = map(service_checks.check_hub_access, service_checks.GATED_REPOSITORIES)
    assert "https://huggingface.co/black-forest-labs/FLUX.1-dev" in dev.hint
    assert "connection to huggingface.co" in onnx.hint
    assert schnell.status == "ok"


def test_dockers_socket(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/docker")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        check = service_checks.check_docker(path)
    assert check.status == "warn"
    assert "newgrp docker" in check.hint


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "OUT_OF_MEMORY"),
        ("Cannot access gated repo for url https://huggingface.co/x", "HUB_GATED"),
        ("401 Client Error: Unauthorized for url", "HUB_TOKEN"),
        ("httpx.ReadTimeout: the read operation timed out", "DOWNLOAD_TIMEOUT"),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix://",
            "DOCKER_SOCKET",
        ),
        ("OSError: no file named model.safetensors found in directory /m", "NO_MODEL_FILES"),
        ("Memory cgroup out of memory: oom-kill:constraint=CONSTRAINT_MEMCG", "KILLED_FOR_MEMORY"),
        ("NVML: memory info Not Supported", "NVML_NOT_SUPPORTED"),
    ],
)
def test_known_troubles_are_recognised(message, code):
    trouble = recognise(message)
    assert trouble is not None
    assert trouble.code == code
    assert remedy(code) == trouble.remedy


def test_other_messages_are_not():
    assert recognise("ValueError: steps must be positive") is None
    assert len({trouble.code for trouble in TROUBLES}) == len(TROUBLES)
