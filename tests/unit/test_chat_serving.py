"""What can be served here and how, through the facade; and everything that is refused, in words."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.chat.servers.suitable import Machine
from backend.contracts import (
    MemorySample,
    ResidentModel,
    ServeRequest,
    ServerKind,
    WorkerStatus,
)
from backend.errors import Code, StudioError
from backend.language import LANGUAGES, text
from backend.models.pool import ModelPool
from backend.settings import Settings, load_settings
from backend.studio import Studio
from tests.support import OWNER
from tests.tiny_llama import make_tiny_llama

GIB = 1024**3
SPARK = (12, 1)


@pytest.fixture
def models(studio: Studio) -> Path:
    folder = studio.settings.home / "checkpoints"
    make_tiny_llama(folder / "tiny")
    make_tiny_llama(folder / "bert", architectures=["BertModel"])
    make_tiny_llama(
        folder / "fp8", quantization_config={"quant_method": "modelopt", "quant_algo": "FP8"}
    )
    return folder


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine another one, which has all kinds of servers."""

    def make(capability: tuple[int, int] | None, total: int = 128 * GIB, **missing: Any) -> None:
        made = Machine(capability, total, {ServerKind(name): why for name, why in missing.items()})
        for module in ("backend.chat.servers.house", "backend.studio.serving"):
            monkeypatch.setattr(f"{module}.this_machine", lambda *_: made)

    return make


def worker(studio: Studio, budget: int, held: int) -> None:
    memory = MemorySample(kind="cpu", total_bytes=1, used_bytes=0, process_bytes=0, taken_at=0)
    model = ResidentModel(key="flux/bf16/torch", memory_bytes=held, in_use=True)
    idle = ResidentModel(key="sdxl/bf16/torch", memory_bytes=held, in_use=False)
    studio.desk.store.report_worker(
        WorkerStatus(
            name="w", pid=1, device="CPU", alive=True, budget_bytes=budget, memory=memory,
            resident=(model, idle), seen_at=time.time(),
        )
    )  # fmt: skip


def options(studio: Studio, name: str, **limits: int | None) -> dict[str, Any]:
    asked = {"context_tokens": None, "parallel": None} | limits
    found = studio.serving.options(name, OWNER, **asked)
    shown = {f"{one.kind}{'*' if one.simulated else ''}": one for one in found.options}
    return {"all": found, **shown}


def test_each_way_to_serve_a_model_with_what_it_takes(
    studio: Studio, models: Path, machine: Callable[..., None]
) -> None:
    worker(studio, budget=10 * GIB, held=2 * GIB)
    machine(None)
    found = options(studio, "tiny")
    assert [one for one in found if one != "all" and found[one].possible] == ["transformers"]
    assert found["vllm"].reason.key == "server.needs_gpu"
    one = found["transformers"]
    assert one.total_bytes > one.weights_bytes + one.cache_bytes > one.cache_bytes > 0
    assert (one.context_tokens, one.parallel) == (4096, 1)
    assert options(studio, "tiny", context_tokens=2048)["transformers"].cache_bytes == (
        one.cache_bytes // 2
    )
    assert (found["all"].budget_bytes, found["all"].free_bytes) == (10 * GIB, 8 * GIB)
    machine(SPARK)
    wide = options(studio, "tiny", parallel=8)
    assert (wide["vllm"].parallel, wide["transformers"].parallel) == (8, 1)
    assert wide["vllm"].guessed and wide["transformers"].guessed and not one.guessed


def test_a_simulation_is_offered_only_where_nothing_runs_the_format(
    studio: Studio, models: Path, machine: Callable[..., None]
) -> None:
    machine(SPARK)
    assert "transformers*" not in options(studio, "fp8")
    machine(None)
    found = options(studio, "fp8")
    assert not found["transformers"].possible
    simulated = found["transformers*"]
    assert simulated.possible and simulated.reason.key == "server.simulated_reason"
    assert simulated.weights_bytes > found["transformers"].weights_bytes
    assert "transformers*" not in options(studio, "tiny")


def test_of_a_repository_that_is_not_here_only_the_servers_are_known(
    studio: Studio, machine: Callable[..., None]
) -> None:
    machine(None)
    found = options(studio, "maker/nothing-here")
    assert found["all"].model is None
    assert found["transformers"].possible and found["transformers"].total_bytes == 0
    assert found["vllm"].reason.key == "server.needs_gpu"


TRANSFORMERS, VLLM = ServerKind.TRANSFORMERS, ServerKind.VLLM


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"kind": TRANSFORMERS}, Code.SERVER_NOT_FOUND, "transformers serve"),
        ({"kind": VLLM}, Code.SERVER_UNSUITABLE, "GPU"),
        ({"kind": ServerKind.OUTSIDE}, Code.INVALID_REQUEST, "OpenAI API"),
        ({"kind": VLLM, "model": "bert"}, Code.ARCHITECTURE_UNSUPPORTED, "BertModel"),
        ({"kind": VLLM, "model": "gone"}, Code.CHAT_MODEL_NOT_FOUND, "gone"),
        ({"kind": VLLM, "model": "../tiny"}, Code.CHAT_MODEL_NOT_FOUND, "../tiny"),
        ({"kind": VLLM, "model": "https://a.b/c"}, Code.CHAT_MODEL_NOT_FOUND, "https"),
        ({"kind": TRANSFORMERS, "simulated": True}, Code.CHECKPOINT_NOT_READABLE, "FP32"),
        ({"kind": VLLM, "context_tokens": 4097}, Code.SAMPLING_OUT_OF_RANGE, "4096"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_before_it_is_queued(
    studio: Studio,
    models: Path,
    machine: Callable[..., None],
    asked: dict[str, Any],
    code: Code,
    said: str,
) -> None:
    gone = text("server.no_program", program="transformers serve")
    machine(None, transformers=gone)
    with pytest.raises(StudioError) as refusal:
        studio.chat.serve(ServeRequest(**({"model": "tiny"} | asked)), OWNER)
    info = refusal.value.info
    assert info.code is code
    messages = [info.message(language) for language in LANGUAGES]
    hints = [info.hint(language) for language in LANGUAGES]
    assert len(set(messages)) == len(set(hints)) == 2
    assert all(said in message for message in messages)
    assert not studio.jobs.live(OWNER)


def test_too_little_memory_is_said_with_both_sizes(
    studio: Studio, models: Path, machine: Callable[..., None]
) -> None:
    machine(None, total=100 * 1024**2)
    with pytest.raises(StudioError) as refusal:
        studio.chat.serve(ServeRequest(model="tiny", kind=TRANSFORMERS), OWNER)
    assert refusal.value.code is Code.SERVER_UNSUITABLE
    for language in LANGUAGES:
        said = refusal.value.info.message(language)
        assert "100.0 MiB" in said and "700.6 MiB" in said
    pool = ModelPool(2**20, lambda: 0, lambda: None)
    with pytest.raises(StudioError) as refusal:
        pool.check("tiny/transformers", 2**30)
    for language in LANGUAGES:
        assert "1.0 GiB" in refusal.value.info.message(language)


def test_only_the_settings_name_an_outside_server_and_folders_only_who_sits_here(
    tmp_path: Path,
) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("ada:secret\n")
    shared = Studio(Settings(home=tmp_path / "home", auth=accounts))
    folder = make_tiny_llama(tmp_path / "elsewhere")
    asked = ServeRequest(model=str(folder), kind=TRANSFORMERS)
    for ask in (
        lambda: shared.chat.serve(asked, "user:ada"),
        lambda: shared.chat.choices(asked.model, "user:ada"),
        lambda: shared.serving.options(asked.model, "user:ada", None, None),
    ):
        with pytest.raises(StudioError) as refusal:
            ask()
        assert refusal.value.code is Code.CHAT_MODEL_NOT_FOUND
    assert shared.serving.options(asked.model, None, None, None).model
    fields = json.dumps(ServeRequest.model_json_schema())
    assert "url" not in fields and "key" not in fields.replace("keys", "")
    shared.close()


def test_an_address_with_a_name_and_password_is_no_setting() -> None:
    with pytest.raises(StudioError) as refusal:
        load_settings({"STUDIO_CHAT_URL": "http://ada:secret@host:8000"})
    assert refusal.value.code is Code.SETTING_INVALID
    assert "secret" not in refusal.value.info.message()
