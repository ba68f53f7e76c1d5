"""A causal language model as an ONNX file with its key-value cache, in a child process.

The names are those that Optimum gave such files: `input_ids`, `attention_mask` and
`past_key_values.N.key` in, `logits` and `present.N.key` out. The file takes any batch, length of
prompt and length of cache, none included, and is checked in ONNX Runtime against torch before it
is kept: what does not come out the same, as with a cache that is more than keys and values, is
refused.
"""

import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from backend.contracts import LanguageExportResult, Precision
from backend.engines.cache import ONNX, size_of
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.language import Value, text
from backend.networks.files import ORIGIN, mark_of
from backend.networks.run import output_error
from backend.networks.session import Network

OPSET = 20
WORST_ERROR = 1e-3
MOST_ROWS = 64
EXTERNAL_FROM_BYTES = 1 << 30
STEPS = 3


def export_language_model(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Write `model.onnx` and where it came from to `folder`, from the transformers folder `model`;
    a LanguageExportResult as data.

    `folder` appears when it is whole. Raises StudioError LANGUAGE_MODEL_UNSUPPORTED.
    """
    source, folder = Path(arguments["model"]), Path(arguments["folder"])
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    tell({"step": 0, "total": STEPS})
    model = load(source)
    tell({"step": 1, "total": STEPS})
    _export(model, unfinished / ONNX)
    tell({"step": 2, "total": STEPS})
    error = _error(model, unfinished / ONNX)
    if not error <= WORST_ERROR:
        raise unsupported(source, "language.differs", error=f"{error:.1e}")
    origin = {"model": str(source), "mark": weights_mark(source)}
    (unfinished / ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
    unfinished.replace(folder)
    file = folder / ONNX
    return LanguageExportResult(
        file=str(file), size_bytes=size_of(file), relative_error=error
    ).model_dump(mode="json")


def load(folder: Path) -> PreTrainedModel:
    """The model in FP32. Raises StudioError LANGUAGE_MODEL_UNSUPPORTED."""
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        raise unsupported(folder, "language.cannot_load", problem=said) from error
    return model.eval()


def weights_mark(folder: Path) -> str:
    """Sizes and times of change of the weights in a folder."""
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    return mark_of(folder / "config.json", names)


def unsupported(model: Path, key: str, **values: Value) -> StudioError:
    return StudioError(
        Code.LANGUAGE_MODEL_UNSUPPORTED, model=model.name, problem=text(key, **values)
    )


class WithCache(torch.nn.Module):
    """A model whose cache is plain tensors, keys and values by turns."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *past: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """`past` are tensors of (batch, heads, past, head size), two a layer."""
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=True,
        )
        present = [each for layer in cache.layers for each in (layer.keys, layer.values)]
        return (out.logits, *present)


def cache_shapes(model: PreTrainedModel) -> list[tuple[int, int]]:
    """Heads and head size of each tensor of the cache, as one token shows them.

    Raises StudioError LANGUAGE_MODEL_UNSUPPORTED.
    """
    with torch.no_grad():
        out = model(input_ids=torch.zeros(1, 1, dtype=torch.int64), use_cache=True)
    layers = getattr(out.past_key_values, "layers", None)
    found = [
        each.shape
        for layer in layers or ()
        for each in (getattr(layer, "keys", None), getattr(layer, "values", None))
        if isinstance(each, torch.Tensor) and each.ndim == 4
    ]
    if not layers or len(found) != 2 * len(layers) or type(out.past_key_values) is not DynamicCache:
        raise unsupported(Path(model.name_or_path), "language.no_cache")
    return [(int(shape[1]), int(shape[3])) for shape in found]


def example(
    model: PreTrainedModel, batch: int, sequence: int, past: int
) -> tuple[torch.Tensor, ...]:
    """Inputs of `WithCache` with random tokens and a random cache."""
    generator = torch.Generator().manual_seed(sequence)
    words = int(model.get_input_embeddings().num_embeddings)
    return (
        torch.randint(0, words, (batch, sequence), generator=generator),
        torch.ones(batch, past + sequence, dtype=torch.int64),
        *(
            torch.randn(batch, heads, past, size, generator=generator)
            for heads, size in cache_shapes(model)
        ),
    )


def names_of(count: int) -> tuple[list[str], list[str]]:
    """Names of the inputs and outputs for a cache of `count` tensors."""
    parts = [f"{layer}.{part}" for layer in range(count // 2) for part in ("key", "value")]
    inputs = ["input_ids", "attention_mask", *(f"past_key_values.{part}" for part in parts)]
    return inputs, ["logits", *(f"present.{part}" for part in parts)]


def _export(model: PreTrainedModel, file: Path) -> None:
    inputs = example(model, batch=2, sequence=3, past=5)
    names, outputs = names_of(len(inputs) - 2)
    most = int(getattr(model.config, "max_position_embeddings", 0) or 2**15)
    batch, sequence, past = (
        torch.export.Dim(name, min=1, max=limit)
        for name, limit in (("batch", MOST_ROWS), ("sequence", most), ("past", most))
    )
    dimensions = (
        {0: batch, 1: sequence},
        {0: batch, 1: torch.export.Dim.AUTO},
        tuple({0: batch, 2: past} for _ in inputs[2:]),
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            WithCache(model),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=dimensions,
            verbose=False,
        )
    assert program is not None
    weights = sum(each.numel() * each.element_size() for each in model.parameters())
    program.save(str(file), external_data=weights > EXTERNAL_FROM_BYTES)
    _name_mask(file)


def _name_mask(file: Path) -> None:
    """Say that the mask covers cache and prompt, where the exporter made up a name."""
    model = onnx.load(str(file), load_external_data=False)
    mask = next(value for value in model.graph.input if value.name == "attention_mask")
    mask.type.tensor_type.shape.dim[1].dim_param = "past + sequence"
    onnx.save(model, str(file))


def _error(model: PreTrainedModel, file: Path) -> float:
    """The largest relative error of an output, for a prompt without cache, and a step with one."""
    network = Network(file, Precision.FP32)
    errors = []
    for batch, sequence, past in ((1, 4, 0), (2, 1, 7)):
        inputs = example(model, batch, sequence, past)
        names, _ = names_of(len(inputs) - 2)
        found = network({name: each.numpy() for name, each in zip(names, inputs, strict=True)})
        with torch.no_grad():
            wanted = WithCache(model)(*inputs)
        errors += [
            output_error("", ours, theirs.numpy()).relative_rms
            for ours, theirs in zip(found, wanted, strict=True)
        ]
    return max(errors)


if __name__ == "__main__":
    child_main(export_language_model)
