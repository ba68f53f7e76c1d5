"""What the hub says of a language model before it is fetched: enough to size and to plan."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.contracts import QuantizeRequest, SourceFacts
from backend.errors import Code, StudioError
from backend.quantize.language.sizes import read_headers
from backend.settings import Settings
from backend.studio import Studio
from tests.contract.hub_server import Hub, Repo
from tests.support import OWNER
from tests.tiny_llama import make_tiny_llama

OPEN, GATED, PICKLED, OTHER = "maker/open", "maker/gated", "maker/pickled", "maker/other"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    source = make_tiny_llama(tmp_path / "source", hidden_size=128, intermediate_size=256)
    other = make_tiny_llama(tmp_path / "other", architectures=["OddForCausalLM"])
    files = {file.name: file.read_bytes() for file in source.iterdir()}
    pickled = {name: data for name, data in files.items() if not name.endswith(".safetensors")}
    about: dict[str, object] = {
        "cardData": {"license": "mit"},
        "config": {"architectures": ["LlamaForCausalLM"]},
    }
    repos = {
        OPEN: Repo(files, about=about),
        GATED: Repo(dict(files), gated=True, about=about),
        PICKLED: Repo(pickled | {"pytorch_model.bin": b"0" * 10}),
        OTHER: Repo({file.name: file.read_bytes() for file in other.iterdir()}),
    }
    cache = str(tmp_path / "hf" / "hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", cache)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with Hub(repos) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            server.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def studio(tmp_path: Path, hub: Hub) -> Iterator[Studio]:
    made = Studio(Settings(home=tmp_path / "home"))
    yield made
    made.close()


def test_a_repository_is_sized_and_planned_without_its_weights(
    studio: Studio, hub: Hub, tmp_path: Path
) -> None:
    ask = QuantizeRequest(model=OPEN, recipe="fp8")
    assert studio.quantize.facts(OPEN, OWNER) == SourceFacts(name=OPEN, here=False, asked=False)
    assert studio.quantize.recipes(OPEN, OWNER)[0].size is None
    unasked = studio.quantize.plan(ask, OWNER, ask=False)
    assert unasked.size is None and not hub.requests
    facts = studio.quantize.ask_hub(OPEN, OWNER)
    tensors = read_headers(tmp_path / "source", OPEN)
    assert facts.parameters == sum(each.values for each in tensors)
    assert (facts.licence, facts.gated, facts.problem) == ("mit", False, None)
    files = hub.repos[OPEN].files
    assert facts.missing_bytes == sum(map(len, files.values())) - len(files["config.json"])
    fetched = [path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path]
    assert {path.rpartition("/")[2] for path in fetched} == {"config.json", "model.safetensors"}
    here = studio.quantize.recipes(str(tmp_path / "source"), None)
    assert [each.size for each in studio.quantize.recipes(OPEN, OWNER)] == [
        each.size for each in here
    ]
    before = len(hub.requests)
    plan = studio.quantize.plan(ask, OWNER, ask=False)
    assert len(hub.requests) == before, "what was said before is enough"
    assert plan.problem is None and plan.size and plan.memory_bytes
    assert OPEN not in [model.name for model in studio.chat.models()]


def test_what_cannot_be_quantised_is_said_before_it_is_fetched(studio: Studio) -> None:
    found = studio.quantize.ask_hub(GATED, OWNER)
    assert found.problem is not None and found.problem.code is Code.HUB_TOKEN_MISSING
    assert (found.gated, found.licence, found.architecture) == (True, "mit", "LlamaForCausalLM")
    plan = studio.quantize.plan(QuantizeRequest(model=GATED, recipe="fp8"), OWNER, ask=False)
    assert plan.problem is not None and plan.problem.code is Code.HUB_TOKEN_MISSING
    for name, code in (
        (PICKLED, Code.QUANTIZE_WEIGHTS_PICKLED),
        (OTHER, Code.QUANTIZE_MODEL_UNSUPPORTED),
    ):
        problem = studio.quantize.ask_hub(name, OWNER).problem
        assert problem is not None and problem.code is code
    with pytest.raises(StudioError) as refusal:
        studio.quantize.ask_hub("maker/nothing", OWNER)
    assert refusal.value.code is Code.HUB_REPO_NOT_FOUND
