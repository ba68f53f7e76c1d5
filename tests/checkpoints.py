"""A quantised checkpoint as a job leaves it, but for the weights, which are not looked at here."""

import json
from pathlib import Path
from typing import Any

from backend.contracts import (
    CheckpointManifest,
    LayerError,
    LayerSensitivity,
    PhaseCost,
    Quality,
    QuantizeRequest,
    RecipeSize,
    SampleAnswer,
    Samples,
)
from tests.tiny_llama import make_tiny_llama

LAYERS = [
    f"model.layers.{index}.{name}"
    for index in range(2)
    for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
]
ANSWERS = Samples(
    scope="weights_only",
    tokens=48,
    template=True,
    answers=(
        SampleAnswer(
            purpose="reckon",
            language="en",
            prompt="How many are 7 boxes of 12?",
            before="They are 84 eggs.",
            after="They are 48 <b>eggs</b>.",
        ),
        SampleAnswer(
            purpose="reckon",
            language="ko",
            prompt="8 곱하기 6은?",
            before="48입니다.",
            after="48입니다.",
        ),
    ),
)


def manifest(**changes: Any) -> CheckpointManifest:
    """Of NVFP4 on a machine without a GPU."""
    values: dict[str, Any] = {
        "format": 1,
        "source": "tiny",
        "revision": None,
        "source_digest": "0" * 64,
        "recipe": "nvfp4",
        "algorithm": "NVFP4",
        "kv_cache": "none",
        "left_out": (),
        "calibration": "demo-chat",
        "calibration_digest": "1" * 64,
        "evaluation_digest": "2" * 64,
        "samples": 8,
        "length": 64,
        "batch": 4,
        "versions": {"nvidia-modelopt": "0.47.0"},
        "device": "CPU (x86_64)",
        "made_at": 1_700_000_000.0,
        "phases": {
            "load": PhaseCost(seconds=6.5, peak_memory_bytes=500 << 20),
            "calibrate": PhaseCost(seconds=0.5, peak_memory_bytes=560 << 20),
            "check": PhaseCost(seconds=0.2, peak_memory_bytes=200 << 20),
        },
        "size": RecipeSize(
            source_bytes=400_000,
            whole_bytes=160_000,
            quantised_bytes=100_000,
            quantised_source_bytes=340_000,
            ratio_whole=2.5,
            ratio_quantised_layers=3.4,
            layers=8,
            left_out=(),
        ),
        "estimated_bytes": 160_000,
        "files": {},
        "quality": Quality(
            scope="weights_only",
            perplexity_reference=4.169,
            perplexity=4.196,
            kl_mean=0.0248,
            kl_p99=0.4119,
            kl_max=1.0594,
            top1_agreement=0.957,
            tokens=2835,
            seconds=0.77,
        ),
        "layer_errors": tuple(
            LayerError(layer=layer, relative_error=0.08 + 0.004 * index)
            for index, layer in enumerate(LAYERS)
        ),
        "answers": ANSWERS,
        "request": QuantizeRequest(
            model="tiny", recipe="nvfp4", calibration="demo-chat", samples=8, length=64
        ),
    }
    return CheckpointManifest(**(values | changes))


def sensitive() -> dict[str, Any]:
    """What a search for sensitive layers adds to a manifest."""
    found = tuple(
        LayerSensitivity(
            layer=layer, chosen="none" if index == 3 else "nvfp4", score=2.0 ** (index % 4)
        )
        for index, layer in enumerate(LAYERS)
    )
    return {"effective_bits": 6.0, "sensitivity": found}


def make_checkpoint(folder: Path, **changes: Any) -> Path:
    make_tiny_llama(folder, hidden_size=64, intermediate_size=128)
    told = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}
    (folder / "hf_quant_config.json").write_text(json.dumps(told))
    (folder / "manifest.json").write_text(manifest(**changes).model_dump_json(indent=1))
    return folder
