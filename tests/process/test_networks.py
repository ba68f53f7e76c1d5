"""Any ONNX file through a real worker: GPT-2 exported, built by TensorRT for RTX, run, and writing
what transformers writes; and what goes wrong with bad files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.contracts import (
    EngineState,
    JobSnapshot,
    JobState,
    LanguageExportRequest,
    LookRequest,
    NetworkRequest,
    NetworkSource,
    NetworkView,
    RunRequest,
    RunResult,
    TextRequest,
    TextResult,
)
from backend.errors import Code, StudioError
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, await_phase, running_worker
from tests.unit.networks import odd_network, picture_network, product

SENTENCES = [
    "the small fox runs over the green hill",
    "a blue bird sings at the edge of the old wood",
    "rain falls on the quiet lake while the moon comes up",
]
GPT2 = NetworkSource(file="tiny-gpt2/model.onnx")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a worker, whose `onnx_files` hold an exported GPT-2."""
    home = tmp_path_factory.mktemp("networks")
    studio = Studio(Settings(home=home / "home"))
    with running_worker(studio.settings):
        gpt2 = make_gpt2(home / "tiny-gpt2")
        asked = LanguageExportRequest(model=str(gpt2))
        done = ended(studio, studio.networks.export_language_model(asked, OWNER))
        assert done["relative_error"] < 1e-5
        yield studio
    studio.close()


def make_gpt2(folder: Path) -> Path:
    """GPT-2's architecture with random weights, and a byte-level tokenizer made here."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=512,
        n_embd=64,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=None,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def job(studio: Studio, job_id: str) -> JobSnapshot:
    return studio.jobs.wait(job_id, OWNER, PATIENCE_S)


def ended(studio: Studio, job_id: str) -> dict[str, Any]:
    done = job(studio, job_id)
    assert done.state is JobState.SUCCEEDED, done.error
    assert done.result is not None
    return done.result


def failed(studio: Studio, job_id: str) -> Code:
    done = job(studio, job_id)
    assert done.state is JobState.FAILED
    assert done.error is not None
    assert "{" not in done.error.message("ko")
    return done.error.code


def build(studio: Studio, source: NetworkSource = GPT2, **values: object) -> str:
    """Build an engine; its id."""
    asked = NetworkRequest.model_validate({"source": source} | values)
    return str(ended(studio, studio.networks.build(asked, OWNER))["engines"][0])


def ran(studio: Studio, engine: str, **values: object) -> RunResult:
    asked = RunRequest.model_validate({"engine": engine} | values)
    return RunResult.model_validate(ended(studio, studio.networks.run(asked, OWNER)))


@pytest.fixture(scope="module")
def on_cpu(studio: Studio) -> str:
    return build(studio, runtime="onnxruntime")


def test_a_look_at_gpt2(studio: Studio) -> None:
    assert studio.networks.files() == (GPT2.file,)
    found = ended(studio, studio.networks.look(LookRequest(source=GPT2), OWNER))
    view = NetworkView.model_validate(found)
    inputs = {each.name: each for each in view.inputs}
    assert inputs["input_ids"].shape == ("batch", "sequence")
    assert inputs["input_ids"].values == 320
    assert inputs["attention_mask"].shape == ("batch", "past + sequence")
    assert inputs["past_key_values.1.value"].shape == ("batch", 4, "past", 16)
    assert [each.name for each in view.outputs][:2] == ["logits", "present.0.key"]
    assert (view.edition, view.problems, view.name) == ("rtx", (), "tiny-gpt2")


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_tensorrt_builds_gpt2_for_a_spark(studio: Studio, precision: str | None) -> None:
    engine = build(studio, precision=precision, target="sm121", shapes=[ids(2, 3, 8)])
    view = studio.engines.inspect(engine)
    made = view.engine.manifest
    assert made.precision == (precision or "fp32")
    assert (made.module, made.target, made.edition) == ("onnx", "sm121", "rtx")
    assert made.shapes["past_key_values.0.key"][2] == (8, 4, 256, 16)
    assert view.engine.state is EngineState.OTHER_GPU
    products = [layer for layer in view.layers if layer.kind in ("MatMul", "Gemm")]
    assert {layer.precision for layer in products} == {precision or "fp32"}
    with pytest.raises(StudioError) as refusal:
        studio.networks.run(RunRequest(engine=engine), OWNER)
    assert refusal.value.code is Code.ENGINE_NOT_RUNNABLE


def ids(*rows: int) -> dict[str, object]:
    low, opt, high = rows
    return {"name": "input_ids", "min": [low, 1], "opt": [opt, 64], "max": [high, 256]}


def test_the_same_file_in_onnx_runtime_has_no_error(studio: Studio, on_cpu: str) -> None:
    result = ran(studio, on_cpu)
    assert result.outputs[0].name == "logits"
    assert result.inputs["attention_mask"] == (1, 128)
    assert max(each.max_abs for each in result.outputs) < 1e-4
    assert min(result.engine_ms, result.reference_ms) > 0
    assert result.passes >= 3


def test_fp16_has_the_error_of_fp16(studio: Studio) -> None:
    engine = build(studio, runtime="onnxruntime", precision="fp16")
    logits = ran(studio, engine, seed=4).outputs[0]
    assert 1e-5 < logits.relative_rms < 2e-2
    assert logits.not_finite == 0


def test_onnx_runtime_says_that_it_has_no_bf16(studio: Studio) -> None:
    asked = NetworkRequest.model_validate(
        {"source": GPT2, "runtime": "onnxruntime", "precision": "bf16"}
    )
    assert failed(studio, studio.networks.build(asked, OWNER)) is Code.NETWORK_RUN_FAILED


def test_greedy_text_is_that_of_transformers(studio: Studio, on_cpu: str) -> None:
    asked = TextRequest(engine=on_cpu, prompt="the small fox", tokens=20)
    result = TextResult.model_validate(ended(studio, studio.networks.write(asked, OWNER)))
    assert result.equal
    assert len(result.tokens) == 20
    assert len(set(result.tokens)) > 3
    assert result.text


def test_a_prompt_must_fit_the_engine_with_all_that_follows(studio: Studio, on_cpu: str) -> None:
    from backend.networks.write import check_length

    shapes = studio.engines.inspect(on_cpu).engine.manifest.shapes
    check_length([1] * 237, 20, shapes)
    for prompt, tokens in ((238, 20), (257, 1), (1, 257)):
        with pytest.raises(StudioError) as refusal:
            check_length([1] * prompt, tokens, shapes)
        assert refusal.value.code is Code.INPUTS_INVALID


def test_a_second_build_finds_the_first_and_given_inputs_are_taken(
    studio: Studio, tmp_path: Path
) -> None:
    file = product(tmp_path / "product.onnx")
    source = NetworkSource(file=str(file))
    engine = build(studio, source, runtime="onnxruntime")
    asked = NetworkRequest.model_validate({"source": source, "runtime": "onnxruntime"})
    again = ended(studio, studio.networks.build(asked, OWNER))
    assert again == {"engines": [engine], "built": 0}
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.ones((3, 128), np.float32))
    assert ran(studio, engine, inputs=str(inputs)).outputs[0].shape == (3, 128)
    np.savez(inputs, x=np.ones((3, 127), np.float32))
    asked_to_run = RunRequest(engine=engine, inputs=str(inputs))
    assert failed(studio, studio.networks.run(asked_to_run, OWNER)) is Code.INPUTS_INVALID

    (tmp_path / "weights.bin").touch()
    found = {each.manifest.id: each for each in studio.engines.all()}[engine]
    assert found.state is EngineState.STALE
    with pytest.raises(StudioError) as refusal:
        studio.networks.run(RunRequest(engine=engine), OWNER)
    assert refusal.value.code is Code.ENGINE_NOT_RUNNABLE
    file.unlink()
    assert studio.engines.inspect(engine).engine.state is EngineState.STALE
    assert studio.engines.delete(engine) > 4 * 128 * 128
    assert engine not in {each.manifest.id for each in studio.engines.all()}


def test_a_picture_network_is_built_in_bf16(studio: Studio, tmp_path: Path) -> None:
    source = NetworkSource(file=str(picture_network(tmp_path / "picture.onnx")))
    asked = {"name": "x", "min": [1, 3, 8, 8], "opt": [1, 3, 16, 16], "max": [2, 3, 32, 32]}
    engine = build(studio, source, precision="bf16", shapes=[asked])
    layers = studio.engines.inspect(engine).layers
    kinds = {(layer.kind, layer.precision) for layer in layers}
    assert {("Conv", "bf16"), ("Resize", "fp32")} <= kinds


def test_what_cannot_be_built_says_why_and_leaves_nothing(studio: Studio, tmp_path: Path) -> None:
    before = {each.manifest.id for each in studio.engines.all()}
    odd = NetworkSource(file=str(odd_network(tmp_path / "odd.onnx")))
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(product(tmp_path / "p.onnx").read_bytes()[:-9])
    bad_rank = {"name": "input_ids", "min": [1], "opt": [1], "max": [1]}
    for values, code in (
        ({"source": odd}, Code.ONNX_INVALID),
        ({"source": NetworkSource(file=str(cut))}, Code.ONNX_UNREADABLE),
        ({"source": GPT2, "shapes": [bad_rank]}, Code.PROFILE_INVALID),
    ):
        asked = NetworkRequest.model_validate(values)
        assert failed(studio, studio.networks.build(asked, OWNER)) is code
    assert {each.manifest.id for each in studio.engines.all()} == before


def test_a_cancelled_export_leaves_nothing_that_is_listed(studio: Studio) -> None:
    origin = json.loads((studio.settings.home / "onnx_files/tiny-gpt2/origin.json").read_text())
    asked = LanguageExportRequest(model=origin["model"], name="second")
    job_id = studio.networks.export_language_model(asked, OWNER)
    await_phase(studio, job_id, "export")
    studio.jobs.cancel(job_id, OWNER)
    assert job(studio, job_id).state is JobState.CANCELLED
    assert studio.networks.files() == (GPT2.file,)


def test_a_name_is_given_once_and_a_folder_without_a_model_refused(
    studio: Studio, tmp_path: Path
) -> None:
    with pytest.raises(StudioError) as refusal:
        studio.networks.export_language_model(
            LanguageExportRequest(model=str(tmp_path), name="tiny-gpt2"), OWNER
        )
    assert refusal.value.code is Code.ONNX_NAME_TAKEN
    empty = LanguageExportRequest(model=str(tmp_path), name="empty")
    code = failed(studio, studio.networks.export_language_model(empty, OWNER))
    assert code is Code.LANGUAGE_MODEL_UNSUPPORTED
