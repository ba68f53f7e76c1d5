"""Commands of servers, from the options that two releases of each are recorded to take."""

import ast
import json
import sys
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from backend.chat.servers.commands import QUIET, Launch, in_container, trtllm, vllm
from backend.chat.servers.kinds import (
    TRANSFORMERS_OPTIONS,
    TRANSFORMERS_RELEASE,
    find_container,
    learn,
)
from backend.chat.servers.options import Program, options_of, parse_options, program_of
from backend.chat.servers.plan import Plan, make_plan
from backend.contracts import LanguageModel, ServeRequest, ServerKind
from backend.errors import Code, StudioError
from backend.jobs.context import JobCancelled
from backend.language import Text
from backend.settings import Settings
from tests.support import ROOT

RECORDED = json.loads((ROOT / "tests" / "data" / "chat" / "options.json").read_text())
GIB = 1024**3
PROGRAM = Program(("server",), "1")
MODEL = LanguageModel(
    name="Llama-3.1-8B",
    folder="/models/llama",
    architecture="LlamaForCausalLM",
    algorithm="NVFP4",
    modelopt=True,
    simulated=False,
    precision="NVFP4",
    context_tokens=131072,
    weights_bytes=6 * GIB,
    kv_bytes_per_token=2 * 32 * 8 * 128 * 2,
    has_template=True,
    opens_thinking=False,
    thinking_tokens=False,
    takes_images=False,
)


def plan(kind: ServerKind, machine_bytes: int = 128 * GIB, home: Path = Path("/home/x")) -> Plan:
    request = ServeRequest(model=MODEL.name, kind=kind)
    return make_plan(Settings(home=home), request, MODEL, machine_bytes)


def recorded(name: str) -> frozenset[str]:
    return frozenset(RECORDED[name]["options"])


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


def offered(launch: Launch, options: frozenset[str]) -> bool:
    return all(word in options for word in launch.argv if word.startswith("--"))


@pytest.mark.parametrize("release", ["trtllm-serve 1.0", "trtllm-serve 1.3"])
def test_trtllm_serve(release: str) -> None:
    made = plan(ServerKind.TENSORRT_LLM)
    launch = trtllm(PROGRAM, recorded(release), made, 8123, Path("/home/x/servers"))
    assert launch.argv[:3] == ("server", "serve", "/models/llama")
    assert offered(launch, recorded(release))
    assert (option(launch, "--host"), option(launch, "--port")) == ("127.0.0.1", "8123")
    assert option(launch, "--max_seq_len") == "8192"
    [(file, content)] = launch.files.items()
    newest = release.endswith("1.3")
    assert option(launch, "--config" if newest else "--extra_llm_api_options") == str(file)
    assert ("--no-telemetry" in launch.argv) is newest
    assert launch.environment["TRTLLM_NO_USAGE_STATS"] == "1"
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
    limits = json.loads(content)
    assert limits["kv_cache_config"]["max_tokens"] == 4 * 8192
    in_file = set(limits) | set(limits["kv_cache_config"])
    in_command = {word.lstrip("-") for word in launch.argv if word.startswith("--")}
    assert not in_file & in_command
    assert not any("gpu_memory_fraction" in word for word in launch.argv)
    assert launch.model_id is None


def test_weights_that_do_not_fit_twice_are_not_loaded_in_parallel() -> None:
    name = "TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL"
    options = recorded("trtllm-serve 1.3")
    for machine, set_ in ((128 * GIB, False), (8 * GIB, True)):
        made = plan(ServerKind.TENSORRT_LLM, machine)
        assert (name in trtllm(PROGRAM, options, made, 1, Path("/x")).environment) is set_


@pytest.mark.parametrize("release", ["vllm serve 0.11", "vllm serve 0.30"])
def test_vllm_serve(release: str) -> None:
    made = plan(ServerKind.VLLM)
    launch = vllm(PROGRAM, recorded(release), made, 8123, Path("/home/x"))
    assert offered(launch, recorded(release))
    assert option(launch, "--host") == "127.0.0.1"
    assert option(launch, "--max-model-len") == "8192"
    assert int(option(launch, "--kv-cache-memory-bytes")) == 4 * 8192 * MODEL.kv_bytes_per_token
    share = float(option(launch, "--gpu-memory-utilization"))
    assert share * 128 * GIB == pytest.approx(made.total_bytes, rel=0.05)
    assert share < 0.2, "an 8B model in four bits must leave a Spark's memory to others"
    assert launch.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_a_server_that_cannot_be_kept_within_its_limits_is_not_started() -> None:
    options = recorded("vllm serve 0.30") - {"--gpu-memory-utilization"}
    with pytest.raises(StudioError) as refusal:
        vllm(PROGRAM, options, plan(ServerKind.VLLM), 1, Path("/x"))
    assert refusal.value.code is Code.SERVER_START_FAILED
    assert "--gpu-memory-utilization" in refusal.value.info.message()


def test_options_are_asked_once_for_a_program_and_again_when_it_changes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    script = tmp_path / "server"
    asked = tmp_path / "asked"

    def write(options: str) -> None:
        script.write_text(
            f"#!{sys.executable}\nimport sys\nopen({str(asked)!r}, 'a').write('x')\n"
            f"print({options!r} if sys.argv[1:] == ['serve', '--help'] else 'Groups: --help')\n"
        )
        script.chmod(0o755)

    def read() -> frozenset[str]:
        asks = (("serve", "--help=all"), ("serve", "--help"))
        return options_of(settings, program_of(str(script)), asks, needed="--port")

    write("  --port PORT  Of the server\n  -h, --host TEXT")
    assert read() == read() == {"--port", "--host"}
    assert asked.read_text() == "xx", "two questions, and then none"
    write("  --port PORT --new")
    assert read() == {"--port", "--new"}
    write("nothing")
    with pytest.raises(StudioError) as refusal:
        read()
    assert refusal.value.code is Code.SERVER_START_FAILED


def test_a_question_for_options_can_be_cancelled(tmp_path: Path) -> None:
    script = tmp_path / "server"
    begun = tmp_path / "begun"
    script.write_text(
        f"#!{sys.executable}\nimport os, pathlib, signal\n"
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\nsignal.pause()\n"
    )
    script.chmod(0o755)

    def cancelled() -> None:
        if begun.is_file() and begun.read_text():
            raise JobCancelled

    with pytest.raises(JobCancelled):
        options_of(
            Settings(home=tmp_path), program_of(str(script)), (("--help",),), "--port", cancelled
        )
    assert not psutil.pid_exists(int(begun.read_text()))


def test_the_installed_transformers_is_not_asked_what_it_takes(tmp_path: Path) -> None:
    """That its release takes them is read from its source; asking it takes seconds."""
    assert version("transformers") == TRANSFORMERS_RELEASE
    spec = find_spec("transformers")
    assert spec is not None and spec.origin is not None
    source = (Path(spec.origin).parent / "cli" / "serve.py").read_text()
    arguments = {
        f"--{argument.arg.replace('_', '-')}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for argument in node.args.args
    }
    assert arguments >= TRANSFORMERS_OPTIONS
    settings = Settings(home=tmp_path)
    _, options = learn(settings, ServerKind.TRANSFORMERS)
    assert options == TRANSFORMERS_OPTIONS
    assert not (tmp_path / "servers").exists(), "nothing was asked"


def test_no_server_looks_for_newer_releases(tmp_path: Path) -> None:
    """huggingface_hub does so at the start of `transformers`, asked for its options or to serve."""
    name = "HF_HUB_DISABLE_UPDATE_CHECK"
    assert QUIET[name] == "1"
    script = tmp_path / "server"
    script.write_text(
        f"#!{sys.executable}\nimport os\nprint('--port --quiet-' + os.environ[{name!r}])\n"
    )
    script.chmod(0o755)
    told = options_of(Settings(home=tmp_path), program_of(str(script)), (("--help",),), "--port")
    assert told == {"--port", "--quiet-1"}


@pytest.mark.parametrize(
    ("kind", "limits", "field"),
    [
        (ServerKind.VLLM, {"context_tokens": 131073}, "context_tokens"),
        (ServerKind.VLLM, {"context_tokens": 0}, "context_tokens"),
        (ServerKind.VLLM, {"parallel": 257}, "parallel"),
        (ServerKind.TRANSFORMERS, {"parallel": 2}, "parallel"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(
    kind: ServerKind, limits: dict[str, int], field: str
) -> None:
    request = ServeRequest(model="x", kind=kind, **limits)
    with pytest.raises(StudioError) as refusal:
        make_plan(Settings(), request, MODEL, 2**40)
    assert refusal.value.code is Code.SAMPLING_OUT_OF_RANGE
    assert field in refusal.value.info.message("ko")


def test_both_styles_of_help_are_read() -> None:
    click = (
        "  --telemetry / --no-telemetry  Or not.\n  --max_seq_len INTEGER  See --max_num_tokens."
    )
    argparse = "  --enable-lora, --no-enable-lora\n  --tensor-parallel-size N, -tp N  a-b--c"
    assert parse_options(click) == {
        "--telemetry", "--no-telemetry", "--max_seq_len", "--max_num_tokens"
    }  # fmt: skip
    assert parse_options(argparse) == {
        "--enable-lora", "--no-enable-lora", "--tensor-parallel-size"
    }  # fmt: skip


def test_the_container_sees_the_models_files_and_is_removed() -> None:
    snapshot = "/hub/models--a--b/snapshots/0123"
    made = plan(ServerKind.CONTAINER)
    made = replace(made, model=MODEL.model_copy(update={"folder": snapshot}))
    options = recorded("trtllm-serve 1.3")
    inner = trtllm(Program(("trtllm-serve",), "1"), options, made, 8123, Path("/home/x"))
    launch = in_container(Settings(trtllm_image="registry/image:9"), inner, made, "studio-1")
    words = list(launch.argv)
    image = words.index("registry/image:9")
    assert words[:2] == ["docker", "run"]
    assert words[words.index("--name") + 1] == "studio-1"
    assert "/hub/models--a--b:/hub/models--a--b:ro" in words[:image]
    assert "/home/x/trtllm-8123.yaml:/home/x/trtllm-8123.yaml:ro" in words[:image]
    assert "HF_HUB_OFFLINE=1" in words[:image]
    assert tuple(words[image + 1 :]) == inner.argv
    assert launch.cleanup == ("docker", "rm", "--force", "studio-1")
    assert not any("HF_TOKEN" in word for word in words)


def test_a_template_with_unknown_names_is_a_setting_to_correct() -> None:
    made = plan(ServerKind.CONTAINER)
    with pytest.raises(StudioError) as refusal:
        in_container(Settings(trtllm_docker="docker run {nmae}"), Launch((), {}, None), made, "n")
    assert refusal.value.code is Code.SETTING_INVALID


def test_no_docker_is_told_as_such() -> None:
    reason = find_container(Settings(trtllm_docker="no-such-docker run"))
    assert isinstance(reason, Text)
    assert reason.key == "server.no_program"
