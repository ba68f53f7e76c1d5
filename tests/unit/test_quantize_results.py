"""Checkpoints that were quantised here: found, shown, taken, compared on servers, deleted."""

import asyncio
import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from backend.chat.client.exchange import leading, parts_at
from backend.chat.models import read_language_model
from backend.chat.servers.shown import TRTLLM_OPTIONS, VLLM_OPTIONS, serve_commands
from backend.chat.servers.suitable import Machine
from backend.contracts import (
    Endpoint,
    JobKind,
    JobState,
    MemorySample,
    QuantizeRequest,
    ResultView,
    ServerKind,
    ServerPhase,
    ServerStatus,
    WorkerStatus,
)
from backend.errors import Code, StudioError
from backend.quantize.language.card import licence_in
from backend.quantize.language.questions import QUESTIONS
from backend.settings import Settings
from backend.studio import Studio
from tests.chat_server import StandIn, running
from tests.checkpoints import make_checkpoint, manifest
from tests.support import OWNER
from tests.tiny_llama import make_tiny_llama

KEY = "checkpoint:tiny-nvfp4"
GIB = 1024**3


@pytest.fixture
def made(studio: Studio) -> Path:
    return make_checkpoint(studio.settings.home / "checkpoints" / "tiny-nvfp4")


def made_elsewhere(studio: Studio, folder: Path, owner: str = OWNER) -> str:
    """A checkpoint in a folder that was asked for, and the job that made it."""
    make_checkpoint(folder, made_at=1_800_000_000.0)
    desk = studio.desk
    request = QuantizeRequest(model="tiny", out=str(folder))
    job = desk.submit(JobKind.QUANTIZE, owner, "tiny", "tiny/nvfp4", request, 1.0)
    made = manifest()
    checkpoint = {
        "path": str(folder),
        "size_bytes": 1,
        "source_size_bytes": 2,
        "ratio_whole": 2.0,
        "ratio_quantised_layers": 2.0,
    }
    result = {"checkpoint": checkpoint, "quality": made.quality.model_dump(mode="json")}
    desk.store.move(job, JobState.RUNNING)
    desk.store.move(job, JobState.SUCCEEDED, result=result)
    return job


def shown(studio: Studio, key: str, owner: str) -> ResultView:
    view = studio.results.show(key, owner)
    assert isinstance(view, ResultView)
    return view


def refused(code: Code, call: Any, *arguments: Any) -> None:
    with pytest.raises(StudioError) as refusal:
        call(*arguments)
    assert refusal.value.code is code, refusal.value


def serve(studio: Studio, *servers: ServerStatus) -> None:
    studio.desk.store.report_worker(
        WorkerStatus(
            name="w",
            pid=1,
            device="CPU",
            alive=True,
            budget_bytes=1,
            memory=MemorySample(
                kind="cpu", total_bytes=1, used_bytes=0, process_bytes=0, taken_at=0
            ),
            resident=(),
            servers=servers,
            seen_at=time.time(),
        )
    )


def server_of(model: str, url: str = "http://127.0.0.1:1", **endpoint: Any) -> ServerStatus:
    kind = ServerKind.TENSORRT_LLM
    return ServerStatus(
        key=f"{model}/{kind}",
        phase=ServerPhase.READY,
        endpoint=Endpoint(kind=kind, url=url, model_id="stand-in", model=model, **endpoint),
        command="",
        pid=None,
        started_at=0.0,
    )


def test_the_newest_comes_first_and_a_broken_one_says_so(
    studio: Studio, made: Path, tmp_path: Path
) -> None:
    home = made.parent
    make_checkpoint(home / "older", made_at=1_600_000_000.0)
    make_checkpoint(home / ".draft")
    make_tiny_llama(home / "somebodys")
    for name, written in (("torn", '{"format": 1, "sou'), ("other", '{"format": 9}')):
        make_checkpoint(home / name)
        (home / name / "manifest.json").write_text(written)
    job = made_elsewhere(studio, tmp_path / "out")
    found = studio.results.list(OWNER)
    whole = [entry.key for entry in found if entry.problem is None]
    assert whole == [f"job:{job}", KEY, "checkpoint:older"]
    broken = {entry.name: entry.problem for entry in found if entry.problem is not None}
    assert broken.keys() == {"torn", "other"}
    assert all(one.code is Code.CHECKPOINT_MANIFEST_BROKEN for one in broken.values() if one)
    view = shown(studio, "checkpoint:torn", OWNER)
    assert view.manifest is None and view.script is None and view.files


def test_one_is_shown_whole(studio: Studio, made: Path) -> None:
    view = shown(studio, KEY, OWNER)
    assert view.entry.title == "NVFP4" and view.entry.quality == manifest().quality
    assert view.manifest == manifest()
    assert {file.name: file.size_bytes for file in view.files} == {
        file.name: file.stat().st_size for file in made.iterdir()
    }
    assert view.entry.size_bytes == sum(file.size_bytes for file in view.files)
    words = shlex.split(view.command or "")
    assert words[:6] == ["spark-studio", "quantize", "--model", "tiny", "--recipe", "nvfp4"]
    assert "QUANT_CFG_CHOICES['nvfp4']" in (view.script or "")
    assert "model=tiny-nvfp4," in view.evaluation
    refused(Code.CHECKPOINT_NOT_FOUND, studio.results.show, "checkpoint:nope", OWNER)


def test_manifests_without_answers_and_request_are_read(studio: Studio, made: Path) -> None:
    """As they were written before either was recorded."""
    file = made / "manifest.json"
    told = json.loads(file.read_text())
    del told["answers"], told["request"]
    file.write_text(json.dumps(told))
    view = shown(studio, KEY, OWNER)
    assert view.entry.problem is None and view.manifest is not None
    assert (view.manifest.answers, view.command, view.script) == (None, None, None)


def test_only_files_of_the_checkpoint_are_handed_out(
    studio: Studio, made: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (made / "link").symlink_to(tmp_path / "secret")
    (made / ".hidden").write_text("hidden")
    assert studio.results.file(KEY, "config.json", OWNER) == made / "config.json"
    for name in ("../../studio.db", "link", ".hidden", "", ".", str(tmp_path / "secret")):
        refused(Code.CHECKPOINT_NOT_FOUND, studio.results.file, KEY, name, OWNER)


def test_where_people_sign_in_only_the_maker_takes_pushes_and_deletes(tmp_path: Path) -> None:
    auth = tmp_path / "people"
    auth.write_text("a:b\nc:d\n")
    studio = Studio(Settings(home=tmp_path / "home", auth=auth))
    own = studio.settings.home / "checkpoints" / "mine"
    made_elsewhere(studio, own, "user:a")
    job = made_elsewhere(studio, tmp_path / "out", "user:a")
    key, other = "checkpoint:mine", f"job:{job}"
    assert {entry.key: entry.mine for entry in studio.results.list("user:a")} == {
        key: True, other: True,
    }  # fmt: skip
    assert {entry.key: entry.mine for entry in studio.results.list("user:c")} == {key: False}
    assert studio.results.show(key, "user:c").manifest is not None
    results = studio.results
    refused(Code.CHECKPOINT_NOT_FOUND, results.show, other, "user:c")
    refused(Code.CHECKPOINT_NOT_YOURS, results.file, key, "config.json", "user:c")
    refused(Code.CHECKPOINT_NOT_YOURS, results.push, key, "c/model", "user:c")
    refused(Code.CHECKPOINT_NOT_YOURS, results.delete, key, "user:c")
    refused(Code.CHECKPOINT_OUTSIDE, results.delete, other, "user:a")
    assert results.delete(key, "user:a").size_bytes > 0 and not own.exists()
    studio.close()


def test_what_is_served_is_not_deleted(studio: Studio, made: Path) -> None:
    serve(studio, server_of("tiny-nvfp4"))
    refused(Code.CHECKPOINT_KEPT, studio.results.delete, KEY, OWNER)
    serve(studio)
    size = sum(file.stat().st_size for file in made.iterdir())
    assert studio.results.delete(KEY, OWNER).size_bytes == size
    assert not made.exists() and studio.results.list(OWNER) == ()


def test_a_push_needs_a_token_and_a_network(
    studio: Studio, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = "backend.quantize.language.push"
    monkeypatch.setattr(f"{push}.get_token", lambda: None)
    monkeypatch.setattr(f"{push}.is_offline_mode", lambda: True)
    refused(Code.PUSH_OFFLINE, studio.results.push, KEY, "me/tiny", OWNER)
    monkeypatch.setattr(f"{push}.is_offline_mode", lambda: False)
    refused(Code.PUSH_TOKEN_MISSING, studio.results.push, KEY, "me/tiny", OWNER)
    monkeypatch.setattr(f"{push}.get_token", lambda: "hf_secret")
    row = studio.desk.store.find(studio.results.push(KEY, "me/tiny", OWNER))
    assert row is not None and "hf_secret" not in str(row)
    assert row.request == {
        "model": str(made), "repo": "me/tiny", "private": True, "existing": False,
    }  # fmt: skip
    refused(Code.CHECKPOINT_KEPT, studio.results.delete, KEY, OWNER)


def test_how_far_two_answers_go_together() -> None:
    assert (parts_at("abcd", "abxd"), leading("abcd", "abxd")) == (2, 0.5)
    assert (parts_at("ab", "abcd"), leading([1, 2], [1, 2, 3, 4])) == (2, 0.5)
    assert (leading("", ""), leading("", "a"), leading("same", "same")) == (1.0, 0.0, 1.0)


def test_agreement_of_two_live_servers(studio: Studio, made: Path) -> None:
    original = StandIn(tokens=("Hello", ", ", "world"), reasoning=("Hm",))
    quantised = StandIn(tokens=("Hello", ", ", "wood"), reasoning=("Hm",))
    with running(original), running(quantised, beside=True):
        refused(Code.AGREEMENT_SERVER_MISSING, asyncio.run, studio.results.agree(KEY, OWNER))
        serve(studio, server_of("tiny", original.url), server_of("tiny-nvfp4", quantised.url))
        steps: list[tuple[int, int]] = []
        found = asyncio.run(
            studio.results.agree(KEY, OWNER, on_done=lambda *step: steps.append(step))
        )
        for one in (original, quantised):
            asked = [body["messages"][-1]["content"] for body in one.bodies]
            assert asked == [question.prompt for question in QUESTIONS]
            assert all(body["temperature"] == 0.0 for body in one.bodies)
        assert [step for step, _ in steps] == list(range(len(QUESTIONS)))
        [first, *_] = found.answers
        assert (first.reference, first.answer) == ("Hm\n\nHello, world", "Hm\n\nHello, wood")
        assert first.first_difference == len("Hm\n\nHello, wo")
        # one character is one token of this tokenizer
        assert found.leading_characters == found.leading_tokens == pytest.approx(13 / 16)
        assert found.same == 0 and shown(studio, KEY, OWNER).agreement == found
        same = asyncio.run(studio.results.agree(KEY, OWNER, reference="tiny-nvfp4/tensorrt_llm"))
        assert same.same == len(QUESTIONS) and same.leading_tokens == 1.0
        quantised.die_after = 1
        refused(Code.SERVER_DIED, asyncio.run, studio.results.agree(KEY, OWNER))
    assert shown(studio, KEY, OWNER).agreement == same
    assert not [file for file in made.iterdir() if file.name.startswith(".")]


RELEASES = json.loads((Path(__file__).parents[1] / "data/chat/options.json").read_text())


@pytest.mark.parametrize(
    ("options", "program"), [(TRTLLM_OPTIONS, "trtllm-serve"), (VLLM_OPTIONS, "vllm serve")]
)
def test_commands_to_copy_use_what_every_known_release_takes(
    options: frozenset[str], program: str
) -> None:
    known = [set(told["options"]) for name, told in RELEASES.items() if name.startswith(program)]
    assert len(known) >= 2 and all(options <= each for each in known)


def test_commands_to_serve_it_or_why_not(studio: Studio, made: Path) -> None:
    settings, model = studio.settings, read_language_model(made)
    spark = Machine((12, 1), 128 * GIB, {})
    found = {(one.server, one.where): one for one in serve_commands(settings, model, spark)}
    assert len(found) == 4 and all(one.here for one in found.values())
    native = found["TensorRT-LLM", "native"].command or ""
    *files, line = native.splitlines()
    assert shlex.split(line)[:3] == ["trtllm-serve", "serve", str(made)]
    assert any("max_tokens" in each for each in files)
    for server in ("TensorRT-LLM", "vLLM"):
        words = shlex.split((found[server, "docker"].command or "").splitlines()[-1])
        assert words[:2] == ["docker", "run"] and f"{made}:{made}:ro" in words
    plain = shlex.split(found["vLLM", "native"].command or "")
    boxed = shlex.split(found["vLLM", "docker"].command or "")
    assert plain[:2] == ["vllm", "serve"] and boxed[-len(plain) + 1 :] == plain[1:]
    here = serve_commands(settings, model, Machine(None, GIB, {}))
    assert all(one.command and not one.here for one in here)
    awq = serve_commands(settings, model.model_copy(update={"algorithm": "W4A16_AWQ"}), spark)
    shown = {(one.server, one.where): one for one in awq}
    assert shown["vLLM", "native"].command is None
    assert "W4A16_AWQ" in shown["vLLM", "native"].reason.render()
    assert shown["TensorRT-LLM", "native"].command and not shown["TensorRT-LLM", "native"].here
    smooth = model.model_copy(update={"algorithm": "W8A8_SQ_PER_CHANNEL"})
    assert all(one.command is None for one in serve_commands(settings, smooth, spark))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n# A model\n", {"license": "mit"}),
        (
            "---\nlicense: other\nlicense_name: mine\n---\n",
            {"license": "other", "license_name": "mine"},
        ),
        ("---\nlicense: [mit\n---\n", {}),
        ("---\n- no\n- mapping\n---\n", {}),
        ("# Nothing of it\n", {}),
        (None, {}),
    ],
)
def test_a_licence_is_read_where_a_card_can_be(
    tmp_path: Path, card: str | None, licence: dict[str, str]
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert licence_in(tmp_path) == licence
