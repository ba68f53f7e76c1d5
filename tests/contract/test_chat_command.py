"""`spark-studio chat` and `servers`, the server being a stand-in."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from backend.contracts import ServerKind
from backend.settings import Settings
from tests.chat_server import StandIn, running
from tests.contract.test_command_line import Outcome, run
from tests.support import PATIENCE_S, ROOT, environment

METRICS = {"ttft_s", "tokens_per_s", "prompt_tokens", "completion_tokens", "finish_reason"}


@pytest.fixture
def server(settings: Settings) -> Iterator[StandIn]:
    with running(StandIn(ServerKind.OUTSIDE, reasoning=("Hm",))) as server:
        settings.home.mkdir()
        (settings.home / "studio.toml").write_text(f'chat_url = "{server.url}"\n')
        yield server


def ask(settings: Settings, *more: str) -> Outcome:
    return run(settings, "chat", "--server", "outside", "--prompt", "Hello?", *more)


def test_one_json_object_with_text_and_metrics(settings: Settings, server: StandIn) -> None:
    status, data, _ = ask(
        settings,
        *("--model", "stand-in", "--system", "Brief.", "--seed", "3", "--temperature", "0.5"),
        *("--max-tokens", "7", "--top-p", "0.9", "--stop", "A", "--stop", "B"),
    )
    assert (status, data["text"], data["reasoning"]) == (0, "Hello, world.", "Hm")
    assert data["metrics"].keys() >= METRICS and data["metrics"]["completion_tokens"] == 5
    [body] = server.bodies
    assert [each["content"] for each in body["messages"]] == ["Brief.", "Hello?"]
    assert (body["seed"], body["temperature"], body["top_p"]) == (3, 0.5, 0.9)
    assert (body["max_tokens"], body["stop"]) == (7, ["A", "B"])


def test_text_that_goes_on(settings: Settings, server: StandIn) -> None:
    server.reasoning = ()
    status, data, _ = ask(settings, "--completion")
    assert (status, data["text"]) == (0, "Hello, world.")
    assert server.bodies[0]["prompt"] == "Hello?"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--model", "other"), "SERVED_MODEL_UNKNOWN"),
        (("--top-k", "5"), "CHAT_FIELD_UNSUPPORTED"),
        (("--temperature", "9"), "SAMPLING_OUT_OF_RANGE"),
        (("--prompt", " "), "MESSAGE_EMPTY"),
        (("--server", "vllm", "--model", "none"), "CHAT_MODEL_NOT_FOUND"),
    ],
)
def test_what_cannot_be_asked(
    settings: Settings, server: StandIn, more: tuple[str, ...], code: str
) -> None:
    status, data, told = ask(settings, *more)
    assert (status, data["error"]["code"]) == (1, code)
    assert data["error"]["hint"] and code in told and not server.bodies


def test_what_came_of_a_failure_is_told(settings: Settings, server: StandIn) -> None:
    server.die_after = 3
    status, data, _ = ask(settings)
    assert (status, data["error"]["code"]) == (1, "SERVER_DIED")
    assert (data["text"], data["reasoning"]) == ("Hello,", "Hm")


def test_servers_without_a_studio(settings: Settings, server: StandIn) -> None:
    assert run(settings, "servers", "list")[:2] == (0, {"servers": []})
    status, data, _ = run(settings, "servers", "stop", "a/vllm")
    assert (status, data["error"]["code"]) == (1, "SERVER_UNKNOWN")
    status, data, _ = run(settings, "servers", "start", "a")
    assert (status, data["error"]["code"]) == (1, "SERVER_WITHOUT_STUDIO")


def test_it_streams_and_ctrl_c_ends_the_answer(settings: Settings, server: StandIn) -> None:
    server.endless = True
    with subprocess.Popen(
        [sys.executable, "app.py", "chat", "--server", "outside"],
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdin and command.stdout
        command.stdin.write("Hello?\n")
        command.stdin.close()
        command.stdin = None
        begun = command.stdout.read(len("Hello, world."))
        assert begun == "Hello, world.", "it comes while it is written"
        command.send_signal(signal.SIGINT)
        rest, told = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, told
    assert set(rest.strip()) <= {"."}
    assert "Hm" in told and "ended by stopped" in told
    assert server.disconnected.wait(PATIENCE_S)
