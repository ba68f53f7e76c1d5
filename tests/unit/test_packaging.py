import ast
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend.settings import PREFIX, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEFAULT = [Requirement(line) for line in PROJECT["dependencies"]]
DEVELOPMENT = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
]
MACHINES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for python in ("3.10", "3.11", "3.12")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]


def applies(requirement, machine):
    return requirement.marker is None or requirement.marker.evaluate(machine)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda it: " ".join(it.values()))
def test_every_requirement_is_pinned_once_to_a_version_that_fits(machine):
    pins = {}
    for pin in CONSTRAINTS:
        if applies(pin, machine):
            assert pin.name not in pins
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    for requirement in DEFAULT + DEVELOPMENT:
        if applies(requirement, machine):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_constraints_leave_the_build_of_torch_to_the_machine():
    for pin in CONSTRAINTS:
        assert re.fullmatch(r"==[\w.!]+", str(pin.specifier)), pin
        assert not re.match(r"(cuda-|triton$|nvidia-(cu|nccl|nv))", pin.name), pin
        assert pin.url is None


@pytest.mark.parametrize("machine", MACHINES, ids=lambda it: " ".join(it.values()))
def test_tensorrt_for_rtx_comes_in_two_matching_wheels_on_linux(machine):
    wheels = {
        str(requirement.specifier)
        for requirement in DEFAULT
        if "tensorrt-rtx" in requirement.name and applies(requirement, machine)
    }
    expected = {"==1.7.1.116", "==0.5.0"} if machine["sys_platform"] == "linux" else set()
    assert wheels == expected


def test_what_is_imported_is_declared():
    declared = {canonicalize_name(requirement.name) for requirement in DEFAULT}
    owners = packages_distributions()
    own = {"app", "backend", "ui"}
    for file in [ROOT / "app.py", *(ROOT / "backend").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        if not file.exists():
            continue
        for module in imported_modules(ast.parse(file.read_text())):
            if module in own or module in sys.stdlib_module_names or module not in owners:
                continue
            names = {canonicalize_name(name) for name in owners[module]}
            assert names & declared, f"{file.relative_to(ROOT)} imports {module}"


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_the_hardware_package_loads_nothing_heavy():
    code = (
        "import sys, backend.hardware.doctor;"
        "print({'torch', 'gradio', 'transformers', 'tensorrt_rtx', 'huggingface_hub'}"
        " & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_make_run_does_nothing_but_start_when_all_is_installed(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / ".venv/.installed").touch()
    environment = {"PATH": os.environ["PATH"]}
    made = subprocess.run(
        ["make", "--dry-run", "run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.splitlines() == ["exec .venv/bin/python app.py serve "]


def test_the_container_runs_as_nobody_in_particular_and_says_when_it_is_well():
    text = (ROOT / "Dockerfile").read_text()
    users = re.findall(r"^USER (\d+)$", text, re.MULTILINE)
    assert int(users[-1]) > 0
    assert "/healthz" in text
    assert 'VOLUME ["/data", "/cache/huggingface"]' in text


def test_compose_opens_the_page_to_this_computer_only():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("studio", "studio-cpu"):
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])
    assert "ports" not in services["postgres"]
    assert services["postgres"]["profiles"] == ["postgres"]
    spark = services["studio"]
    assert (spark["gpus"], spark["ipc"]) == ("all", "host")
    assert spark["ulimits"] == {"memlock": -1, "stack": 67108864}
    volumes = [volume.split(":")[0] for volume in spark["volumes"]]
    assert {*volumes, "postgres"} == set(compose["volumes"])


def test_container_files_set_settings_that_exist():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    named = set(re.findall(r"\b(STUDIO_[A-Z_]+)=", (ROOT / "Dockerfile").read_text()))
    named |= {
        name for name in compose["services"]["studio"]["environment"] if name.startswith(PREFIX)
    }
    assert {"STUDIO_HOME", "STUDIO_HOST", "STUDIO_AUTH", "STUDIO_DATABASE_URL"} <= named
    assert {name.removeprefix(PREFIX).lower() for name in named} <= set(Settings.model_fields)
