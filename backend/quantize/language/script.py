"""A request as what does the same elsewhere: the studio's command, and a script of ModelOpt."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from backend.contracts import CheckpointManifest, QuantizeRequest
from backend.quantize.language.recipes import find_kv_recipe
from backend.quantize.language.sizes import SHARD_SIZE
from backend.quantize.language.texts import BUILT_IN, HELD_OUT, texts_folder
from backend.quantize.results import option_words

OPTIONS = (
    ("kv_cache", "--kv-cache"),
    ("samples", "--samples"),
    ("length", "--length"),
    ("batch", "--batch"),
    ("evaluation_tokens", "--score-tokens"),
    ("effective_bits", "--effective-bits"),
    ("out", "--out"),
)


def command_of(request: QuantizeRequest, home: Path) -> str:
    """The line that asks for just this at a shell: what is as it is by default is left out, but for
    the recipe."""
    words = ["spark-studio", "quantize", "--model", request.model, "--recipe", request.recipe]
    plain = QuantizeRequest(model=request.model)
    words += option_words(request, plain, OPTIONS)
    for pattern in request.leave_out:
        words += ["--leave-out", pattern]
    if request.calibration != plain.calibration:
        name = request.calibration
        words += ["--calibration", name if name in BUILT_IN else _text(name, home)]
    if request.evaluation is not None:
        words += ["--evaluation", _text(request.evaluation, home)]
    if request.replace:
        words.append("--replace")
    return shlex.join(words)


def _text(name: str, home: Path) -> str:
    """Where a built-in or kept text is."""
    return str(BUILT_IN.get(name) or texts_folder(home) / f"{name}.jsonl")


def script_of(
    request: QuantizeRequest, model: str, left_out: Sequence[str], out: str, home: Path
) -> str:
    """A whole script that quantises `model`, a folder or a repository, into the folder `out` with
    nvidia-modelopt alone. `left_out` are the modules that stay as they are."""
    searched = request.effective_bits is not None
    parts = [
        HEAD.format(
            recipe=request.recipe,
            presets="KV_QUANT_CFG_CHOICES, " if request.kv_cache != "none" else "",
            model=model,
            out=out,
            text=_text(request.calibration, home),
            samples=request.samples,
            length=request.length,
            batch=request.batch,
            left_out=_list(left_out),
        ),
        TEXT.format(
            held_out=f"\nrows = [row for index, row in enumerate(rows) if index % {HELD_OUT} != "
            f"{HELD_OUT - 1}]  # the others are for scoring"
            if request.evaluation is None
            else ""
        ),
        CONFIG.format(recipe=request.recipe),
    ]
    if find_kv_recipe(request.kv_cache).algorithm is not None:
        parts.append(CACHE.format(kv=request.kv_cache))
    parts.append(SEARCH.format(bits=request.effective_bits) if searched else QUANTISE)
    parts.append(EXPORT.format(shard=SHARD_SIZE))
    return "".join(parts)


def script_of_manifest(
    manifest: CheckpointManifest, model: str, out: str, home: Path
) -> str | None:
    """The script that makes a checkpoint again; None where its request is not recorded."""
    if manifest.request is None:
        return None
    found = {each.layer for each in manifest.sensitivity if each.chosen == "none"}
    left_out = [layer for layer in manifest.left_out if layer not in found]
    request = manifest.request.model_copy(update={"batch": manifest.batch})
    return script_of(request, model, left_out, out, home)


def _list(names: Sequence[str]) -> str:
    if not names:
        return "[]"
    return "[\n" + "".join(f"    {name!r},\n" for name in names) + "]"


HEAD = '''"""Quantise a language model with nvidia-modelopt: {recipe}."""

import copy
import json

import modelopt.torch.quantization as mtq
import torch
from modelopt.recipe.presets import {presets}QUANT_CFG_CHOICES
from modelopt.torch.export import export_hf_checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

MODEL = {model!r}
OUT = {out!r}
TEXT = {text!r}
SAMPLES, LENGTH, BATCH = {samples}, {length}, {batch}
LEFT_OUT = {left_out}

dtype = AutoConfig.from_pretrained(MODEL).dtype
model = AutoModelForCausalLM.from_pretrained(
    MODEL,
    dtype=torch.float16 if dtype is torch.float16 else torch.bfloat16,
    device_map="cuda" if torch.cuda.is_available() else "cpu",
).eval()
tokenizer = AutoTokenizer.from_pretrained(MODEL)
'''
TEXT = """
with open(TEXT, encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]{held_out}
tokens = []
for row in rows:
    if "messages" in row:
        words = tokenizer.apply_chat_template(row["messages"], tokenize=False)
    else:
        words = row["text"]
    tokens += tokenizer(words, add_special_tokens="text" in row)["input_ids"]
    if tokenizer.eos_token_id is not None:
        tokens.append(tokenizer.eos_token_id)
    if len(tokens) >= SAMPLES * LENGTH:
        break
count = min(SAMPLES, len(tokens) // LENGTH)
batches = torch.tensor(tokens[: count * LENGTH]).view(count, LENGTH).split(BATCH)
"""
CONFIG = """
config = copy.deepcopy(QUANT_CFG_CHOICES[{recipe!r}])
config["quant_cfg"] += [{{"quantizer_name": f"{{name}}.*", "enable": False}} for name in LEFT_OUT]
"""
CACHE = """config["quant_cfg"] += copy.deepcopy(KV_QUANT_CFG_CHOICES[{kv!r}]["quant_cfg"])
config["algorithm"] = config.get("algorithm") or "max"
"""
QUANTISE = """

def forward(quantised):
    for batch in batches:
        quantised(batch.to(model.device), use_cache=False, logits_to_keep=1)


with torch.inference_mode():
    mtq.quantize(model, config, forward if mtq.need_calibration(config) else None)
"""
SEARCH = """
with torch.no_grad():
    mtq.auto_quantize(  # experimental, as its documentation says
        model,
        constraints={{"effective_bits": {bits}}},
        quantization_formats=[config],
        data_loader=batches,
        forward_step=lambda quantised, batch: quantised(
            batch.to(model.device), use_cache=False
        ).logits,
        method="kl_div",
        disabled_layers=["*lm_head*", *LEFT_OUT],
        num_calib_steps=len(batches),
        num_score_steps=len(batches),
    )
"""
EXPORT = """
with torch.inference_mode():
    export_hf_checkpoint(model, export_dir=OUT, max_shard_size={shard!r})
tokenizer.save_pretrained(OUT)
"""
