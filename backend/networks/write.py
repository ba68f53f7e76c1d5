"""Greedy text from an engine of an exported language model, beside transformers', in a child."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel

from backend.contracts import EngineManifest, Shapes, TextResult
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.networks.feeds import Array, invalid
from backend.networks.files import ORIGIN
from backend.networks.language import cache_shapes, load, names_of, unsupported, weights_mark
from backend.networks.run import Run, load_engine

BATCH = 1


def write(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """A TextResult as data: `tokens` new tokens at the most after `prompt`, from the engine that
    `manifest` and `folder` give and from transformers.

    Raises StudioError LANGUAGE_MODEL_UNSUPPORTED, ONNX_CHANGED, INPUTS_INVALID, and what the
    engine's runtime raises.
    """
    manifest = EngineManifest.model_validate(arguments["manifest"])
    source, most = _origin(manifest), int(arguments["tokens"])
    model = load(source)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    prompt: list[int] = tokenizer(arguments["prompt"])["input_ids"]
    if not prompt:
        raise invalid("inputs.empty_prompt")
    check_length(prompt, most, manifest.shapes)
    ends = _ends(model)
    engine = load_engine(manifest, Path(arguments["folder"]))
    started = time.perf_counter()
    found = greedy(engine, cache_shapes(model), prompt, most, ends, tell)
    seconds = time.perf_counter() - started
    wanted = _reference(model, prompt, most, ends)
    return TextResult(
        engine=manifest.id,
        text=tokenizer.decode(found),
        tokens=tuple(found),
        reference_tokens=tuple(wanted),
        equal=found == wanted,
        tokens_per_s=len(found) / seconds,
    ).model_dump(mode="json")


def _origin(manifest: EngineManifest) -> Path:
    """The folder in transformers' layout that the engine's file was exported from."""
    assert manifest.onnx_source is not None
    file = Path(manifest.onnx_source).parent / ORIGIN
    if not file.is_file():
        raise unsupported(Path(manifest.onnx_source), "language.not_exported")
    origin = json.loads(file.read_text(encoding="utf-8"))
    source = Path(origin["model"])
    if weights_mark(source) != origin["mark"]:
        raise StudioError(Code.ONNX_CHANGED, file=str(source))
    return source


def check_length(prompt: list[int], most: int, shapes: Shapes) -> None:
    """Whether the engine takes the prompt at once, and all before the last token as its cache.

    Raises StudioError INPUTS_INVALID.
    """
    largest = {name: bounds[2] for name, bounds in shapes.items()}
    at_once = largest["input_ids"][1]
    cached = next(shape[2] for name, shape in largest.items() if name.startswith("past"))
    limit = min(at_once, cached - most + 1)
    if len(prompt) > limit:
        raise invalid("inputs.too_long", count=len(prompt), limit=max(limit, 0))


def greedy(
    engine: Run,
    cache: list[tuple[int, int]],
    prompt: list[int],
    most: int,
    ends: frozenset[int],
    tell: News,
) -> list[int]:
    """The likeliest token each time, until one of `ends` or `most` of them. `cache` gives heads
    and head size of its tensors."""
    names, _ = names_of(len(cache))
    past: list[Array] = [np.zeros((BATCH, heads, 0, size), np.float32) for heads, size in cache]
    ids = np.array([prompt], np.int64)
    tokens: list[int] = []
    while len(tokens) < most:
        mask = np.ones((BATCH, past[0].shape[2] + ids.shape[1]), np.int64)
        logits, *past = engine(dict(zip(names, [ids, mask, *past], strict=True)))
        tokens.append(int(logits[0, -1].argmax()))
        tell({"step": len(tokens), "total": most})
        if tokens[-1] in ends:
            break
        ids = np.array([tokens[-1:]], np.int64)
    return tokens


def _ends(model: PreTrainedModel) -> frozenset[int]:
    end = model.generation_config.eos_token_id if model.generation_config else None
    return frozenset([end] if isinstance(end, int) else end or ())


def _reference(
    model: PreTrainedModel, prompt: list[int], most: int, ends: frozenset[int]
) -> list[int]:
    settings = GenerationConfig(
        max_new_tokens=most, do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=0
    )
    ids = torch.tensor([prompt])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return [int(token) for token in out[0, len(prompt) :]]


if __name__ == "__main__":
    child_main(write)
