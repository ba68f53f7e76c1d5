"""What a model's files say, and which servers can serve it where."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.chat.models import (
    find_language_model,
    list_language_models,
    read_language_model,
)
from backend.chat.servers.suitable import Machine, why_not
from backend.chat.servers.troubles import why_it_died
from backend.contracts import LanguageModel, ServerKind
from backend.errors import Code, StudioError
from backend.hardware.gpu import ComputeCapability
from backend.language import text
from backend.settings import Settings
from tests.tiny_llama import make_tiny_llama

SPARK, RTX_50, HOPPER, ADA = (12, 1), (12, 0), (9, 0), (8, 9)
TRTLLM, CONTAINER, VLLM, TRANSFORMERS = (
    ServerKind.TENSORRT_LLM,
    ServerKind.CONTAINER,
    ServerKind.VLLM,
    ServerKind.TRANSFORMERS,
)


def checkpoint(folder: Path, algorithm: str, beside: bool = True) -> Path:
    """A folder that claims to be ModelOpt's."""
    make_tiny_llama(folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "modelopt", "quant_algo": algorithm}
    (folder / "config.json").write_text(json.dumps(config))
    if beside:
        told = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": algorithm}}
        (folder / "hf_quant_config.json").write_text(json.dumps(told))
    return folder


def reason(
    kind: ServerKind,
    model: LanguageModel,
    capability: ComputeCapability | None,
    total: int = 2**40,
    missing: dict[ServerKind, Any] | None = None,
) -> str | None:
    found = why_not(kind, model, Machine(capability, total, missing or {}), 2**30)
    return None if found is None else found.key


def test_a_plain_model(tmp_path: Path) -> None:
    model = read_language_model(make_tiny_llama(tmp_path / "tiny"))
    assert (model.name, model.architecture, model.precision) == ("tiny", "LlamaForCausalLM", "FP32")
    assert (model.algorithm, model.modelopt, model.context_tokens) == (None, False, 4096)
    assert model.kv_bytes_per_token == 2 * 2 * 2 * 8 * 2, "2 layers, 2 heads of 8, K and V"
    assert model.weights_bytes == (tmp_path / "tiny" / "model.safetensors").stat().st_size
    assert (model.has_template, model.opens_thinking) == (True, False)


def test_templates(tmp_path: Path) -> None:
    thinking = "{{ messages[0]['content'] }}<think>\n"
    assert read_language_model(make_tiny_llama(tmp_path / "a", thinking)).opens_thinking
    assert not read_language_model(make_tiny_llama(tmp_path / "b", None)).has_template


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"architectures": ["BertForMaskedLM"]}, Code.ARCHITECTURE_UNSUPPORTED),
        ({"architectures": []}, Code.ARCHITECTURE_UNSUPPORTED),
        ({"model_type": "vae"}, Code.ARCHITECTURE_UNSUPPORTED),
        ({"architectures": [None]}, Code.ARCHITECTURE_UNSUPPORTED),
        ([1, 2], Code.MODEL_FILES_CORRUPTED),
    ],
)
def test_what_is_no_language_model(tmp_path: Path, config: Any, code: Code) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(StudioError) as refusal:
        read_language_model(tmp_path)
    assert refusal.value.code is code


def test_models_are_found_by_name_folder_and_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", models=(tmp_path / "more",))
    mine = make_tiny_llama(settings.home / "checkpoints" / "mine")
    make_tiny_llama(tmp_path / "more" / "other")
    hub = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    storage = hub / "models--maker--model"
    make_tiny_llama(storage / "snapshots" / "0123")
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text("0123")
    make_tiny_llama(settings.home / "checkpoints" / ".being-written")
    names = [model.name for model in list_language_models(settings)]
    assert ".being-written" not in names
    assert {"mine", "other", "maker/model"} <= set(names)
    for name, folder in (
        ("mine", mine),
        (str(mine), mine),
        ("maker/model", storage / "snapshots" / "0123"),
    ):
        assert find_language_model(settings, name).folder == str(folder)
    for name in ("nobody/nothing", "../mine", "", str(tmp_path), "mine/../../x"):
        with pytest.raises(StudioError) as refusal:
            find_language_model(settings, name)
        assert refusal.value.code is Code.CHAT_MODEL_NOT_FOUND


@pytest.mark.parametrize("beside", [True, False])
def test_a_modelopt_checkpoint_is_never_given_to_transformers(tmp_path: Path, beside: bool) -> None:
    model = read_language_model(checkpoint(tmp_path, "FP8", beside))
    assert (model.modelopt, model.algorithm, model.precision) == (True, "FP8", "FP8")
    for capability in (None, SPARK, HOPPER):
        assert reason(TRANSFORMERS, model, capability) == "server.no_modelopt"


@pytest.mark.parametrize(
    ("algorithm", "kind", "capability", "wanted"),
    [
        ("NVFP4", TRTLLM, SPARK, None),
        ("NVFP4", VLLM, RTX_50, None),
        ("NVFP4", CONTAINER, HOPPER, "server.format_needs"),
        ("NVFP4", VLLM, ADA, "server.format_needs"),
        ("NVFP4", TRTLLM, None, "server.needs_gpu"),
        ("FP8", TRTLLM, ADA, None),
        ("FP8", VLLM, SPARK, None),
        ("FP8", TRTLLM, (8, 6), "server.format_needs"),
        ("FP8_PER_CHANNEL_PER_TOKEN", TRTLLM, SPARK, "server.format_needs"),
        ("W4A16_AWQ", TRTLLM, ADA, None),
        ("W4A16_AWQ", TRTLLM, SPARK, "server.format_needs"),
        ("W4A16_AWQ", VLLM, ADA, "server.format_unknown"),
        ("W4A16_NVFP4", TRTLLM, SPARK, "server.format_unknown"),
        ("W4A16_NVFP4", VLLM, SPARK, None),
        ("W8A8_SQ_PER_CHANNEL", TRTLLM, HOPPER, "server.format_unknown"),
    ],
)
def test_formats_and_parts(
    tmp_path: Path,
    algorithm: str,
    kind: ServerKind,
    capability: ComputeCapability | None,
    wanted: str | None,
) -> None:
    model = read_language_model(checkpoint(tmp_path, algorithm))
    assert reason(kind, model, capability) == wanted


def test_what_the_machine_lacks(tmp_path: Path) -> None:
    model = read_language_model(make_tiny_llama(tmp_path))
    gone = text("server.no_program", program="vllm")
    assert reason(VLLM, model, SPARK, missing={VLLM: gone}) == "server.no_program"
    assert reason(VLLM, model, SPARK, total=2**20) == "server.too_large"
    assert reason(VLLM, model, None) == "server.needs_gpu"
    assert reason(TRANSFORMERS, model, None) is None


NORMAL = [
    "INFO Available KV cache memory: 46.50 GiB",
    "INFO Free memory on device (139.21/139.81 GiB) on startup. Desired GPU memory utilization",
    "INFO Application startup complete.",
]


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", 1, Code.SERVER_OUT_OF_MEMORY),
        (
            "ValueError: Free memory on device cuda:0 (4.9/6.0 GiB) is less than desired",
            1,
            Code.SERVER_OUT_OF_MEMORY,
        ),
        (
            "ValueError: (17.26 GiB KV cache is needed, which is larger than the available KV cache"
            " memory (17.2 GiB).",
            1,
            Code.SERVER_OUT_OF_MEMORY,
        ),
        ("", 137, Code.SERVER_OUT_OF_MEMORY),
        ("OSError: [Errno 98] Address already in use", 1, Code.SERVER_PORT_TAKEN),
        ("RuntimeError: Failed to bind socket to 127.0.0.1:1", 1, Code.SERVER_PORT_TAKEN),
        (
            "Model architectures ['X'] are not supported for now",
            1,
            Code.ARCHITECTURE_UNSUPPORTED,
        ),
        ("CUDA driver version is insufficient for CUDA runtime", 1, Code.SERVER_DRIVER_MISMATCH),
        ("no kernel image is available for execution", 1, Code.SERVER_DRIVER_MISMATCH),
        ("Cannot use chat template functions because tokenizer.chat_template is not set", 1,
         Code.CHAT_TEMPLATE_MISSING),
        ("KeyError: 'rope_type'", 1, Code.SERVER_START_FAILED),
    ],
)  # fmt: skip
def test_known_failures_in_a_log(tmp_path: Path, line: str, status: int, code: Code) -> None:
    model = read_language_model(make_tiny_llama(tmp_path))
    found = why_it_died([*NORMAL, line], status, model, 8123)
    assert found.code is code
    assert "Application startup" in found.detail
    for language in ("en", "ko"):
        assert found.message(language) and found.hint(language)
