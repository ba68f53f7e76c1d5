"""Quantise a language model, in a child process: load, calibrate, score, export.

Goes on where an earlier child of the same work folder was killed: the original's logits, the
calibration and the score are kept there until the job is done.
"""

import gc
import json
import math
import platform
import shutil
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from backend.contracts import LayerSensitivity, Quality, QuantizeRequest
from backend.jobs.children import News, child_main
from backend.language import Text, Value, text
from backend.quantize.costs import Costs
from backend.quantize.language.calibrate import (
    calibrate,
    is_kept,
    keep_calibration,
    quant_config,
    restore_calibration,
)
from backend.quantize.language.export import complete, export
from backend.quantize.language.load import (
    in_batches,
    load_model,
    load_tokenizer,
    pick_device,
    sequences,
)
from backend.quantize.language.recipes import find_kv_recipe, find_recipe, needs_text
from backend.quantize.language.samples import Asking
from backend.quantize.language.score import keep_reference, score
from backend.quantize.language.search import search
from backend.quantize.language.texts import chosen_rows, digest_of

PACKAGES = ("nvidia-modelopt", "torch", "transformers", "safetensors")
CALIBRATION, REFERENCE, EXPORT, SCORED = "calibration", "reference", "export", "quality.json"


class Teller:
    """News of a phase, with the memory held; told again where there is none for a while."""

    def __init__(self, send: News, costs: Costs) -> None:
        self._send, self._costs = send, costs
        self._lock = threading.Lock()
        self._last: tuple[str, int, int] | None = None
        costs.on_sample = self._again

    def __call__(
        self, phase: str, step: int = 0, total: int = 0, message: Text | None = None
    ) -> None:
        with self._lock:
            self._last = (phase, step, total)
            self._tell(*self._last, message)

    def _again(self) -> None:
        with self._lock:
            if self._last is not None:
                self._tell(*self._last, None)

    def _tell(self, phase: str, step: int, total: int, message: Text | None) -> None:
        self._send(
            {
                "phase": phase,
                "step": step,
                "total": total,
                "message": message.model_dump(mode="json") if message else None,
                "memory_bytes": self._costs.memory_bytes(),
                "held_bytes": self._costs.held_bytes(),
            }
        )

    def say(self, phase: str, key: str, **values: Value) -> None:
        self(phase, message=text(key, **values))


@dataclass(frozen=True)
class Tokens:
    """Sequences (n, length) to calibrate on, None where nothing is, and to score on."""

    calibration: torch.Tensor | None
    evaluation: torch.Tensor


def tokens_of(home: Path, source: Path, request: QuantizeRequest, calibrated: bool) -> Tokens:
    """Raises StudioError CALIBRATION_TEXT_UNREADABLE, CALIBRATION_TEXT_SHORT,
    EVALUATION_OVERLAPS."""
    kept, held = chosen_rows(home, request.calibration, request.evaluation)
    tokenizer = load_tokenizer(source)
    name, length = request.calibration, request.length
    scored = math.ceil(request.evaluation_tokens / length)
    found = (
        sequences(tokenizer, kept, length, request.samples, "calibrate", name)
        if calibrated
        else None
    )
    return Tokens(found, sequences(tokenizer, held, length, scored, "score", name))


def quantise(arguments: dict[str, Any], send: News) -> dict[str, Any]:
    """Write the checkpoint to `work`/export, and say what it took and how good it is.

    Raises StudioError CALIBRATION_TEXT_UNREADABLE, CALIBRATION_TEXT_SHORT, EVALUATION_OVERLAPS.
    """
    source, work = Path(arguments["source"]), Path(arguments["work"])
    home = Path(arguments["home"])
    request = QuantizeRequest.model_validate(arguments["request"])
    recipe, kv = find_recipe(request.recipe), find_kv_recipe(request.kv_cache)
    device = pick_device()
    costs = Costs(device)
    tell = Teller(send, costs)
    tell("load")
    with costs.phase("load"):
        config = quant_config(recipe, kv, arguments["left_out"])
        calibrated = needs_text(recipe, kv, request.effective_bits is not None)
        tokens = tokens_of(home, source, request, calibrated)
        model = load_model(source, device)
    _say_what(tell, request, tokens, len(arguments["left_out"]))
    held = tokens.evaluation
    with costs.phase("reference"):
        keep_reference(
            model, held, work / REFERENCE, lambda done: tell("reference", done, len(held))
        )
    asking = Asking(source, work, arguments["answer_tokens"])
    with costs.phase("samples_before"):
        asking.before(model, lambda done, total: tell("samples_before", done, total))
    batch, found = request.batch, list[LayerSensitivity]()
    with costs.phase("calibrate"):
        tell("calibrate")
        if request.effective_bits is not None:
            assert tokens.calibration is not None
            found = search(
                model,
                recipe,
                config,
                arguments["left_out"],
                request.effective_bits,
                list(tokens.calibration.split(request.batch)),
                lambda passed: tell("calibrate", passed),
            )
        elif is_kept(recipe, work / CALIBRATION):
            tell.say("calibrate", "job.quantize_kept")
            restore_calibration(model, recipe, config, work / CALIBRATION)
        else:
            shutil.rmtree(work / CALIBRATION, ignore_errors=True)
            loop = None
            if tokens.calibration is not None:
                passes = max(recipe.passes, 1)
                loop = Loop(tell, tokens.calibration, request.batch, device, passes)
            calibrate(model, config, loop)
            batch = loop.batch if loop else batch
            keep_calibration(model, recipe, work / CALIBRATION)
    quality = answers = None
    if device.type == "cuda" or "evaluate" not in recipe.cuda:
        with costs.phase("evaluate"):
            quality = _score(model, held, work, kv.algorithm is not None, tell)
        with costs.phase("samples_after"):
            answers = asking.after(
                model, "quantised", lambda done, total: tell("samples_after", done, total)
            ).model_dump(mode="json")
    with costs.phase("export"):
        tell("export", 0, arguments["expected_bytes"])
        shutil.rmtree(work / EXPORT, ignore_errors=True)
        export(
            model,
            work / EXPORT,
            arguments["expected_bytes"],
            lambda done, total: tell("export", done, total),
        )
        complete(source, work / EXPORT)
    del model
    gc.collect()
    kept, scored = chosen_rows(home, request.calibration, request.evaluation)
    return {
        "phases": costs.phases,
        "quality": quality,
        "answers": answers,
        "batch": batch,
        "samples": 0 if tokens.calibration is None else len(tokens.calibration),
        "calibration_digest": None if tokens.calibration is None else digest_of(kept),
        "evaluation_digest": digest_of(scored),
        "sensitivity": [each.model_dump() for each in found],
        "device": device_name(device),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }


def _say_what(tell: Teller, request: QuantizeRequest, tokens: Tokens, left_out: int) -> None:
    found = 0 if tokens.calibration is None else len(tokens.calibration)
    tell.say(
        "load",
        "job.quantize_text",
        sequences=found,
        length=request.length,
        tokens=tokens.evaluation[:, 1:].numel(),
    )
    if 0 < found < request.samples:
        tell.say("load", "job.quantize_fewer", sequences=found, asked=request.samples)
    if left_out:
        tell.say("load", "job.quantize_left_out", count=left_out)


class Loop:
    """Passes the calibration text through a model; counts its passes."""

    def __init__(
        self,
        tell: Teller,
        found: torch.Tensor,
        batch: int,
        device: torch.device,
        passes: int,
    ) -> None:
        self._tell, self._found, self._device = tell, found, device
        self._passes, self._pass = passes, 0
        self.batch = batch

    def __call__(self, model: Any) -> None:
        found, before = self._found, self._pass * len(self._found)
        self._pass += 1
        total = max(self._passes, self._pass) * len(found)
        if self._passes > 1:
            message = text("job.quantize_pass", index=self._pass, count=self._passes)
            self._tell("calibrate", before, total, message)
        self.batch = in_batches(
            lambda tokens: model(tokens, use_cache=False, logits_to_keep=1),
            found,
            self.batch,
            self._device,
            lambda done: self._tell("calibrate", before + done, total),
            lambda batch: self._tell.say("calibrate", "job.quantize_batch", batch=batch),
        )


def _score(model: Any, held: torch.Tensor, work: Path, cache: bool, tell: Teller) -> dict[str, Any]:
    """Measured once: a child that goes on finds the score."""
    file = work / SCORED
    if not file.exists():
        found = score(
            model,
            held,
            work / REFERENCE,
            lambda done: tell("evaluate", done, len(held)),
        )
        quality = Quality(scope="quantised", kv_cache_rounded=cache, **found)
        file.write_text(quality.model_dump_json(), encoding="utf-8")
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    say_score(tell, kept)
    return kept


def say_score(tell: Teller, quality: dict[str, Any]) -> None:
    tell.say(
        "evaluate",
        "job.quantize_scored",
        before=f"{quality['perplexity_reference']:.3f}",
        after=f"{quality['perplexity']:.3f}",
        agreement=f"{100 * quality['top1_agreement']:.1f}",
    )


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({platform.machine()})"


if __name__ == "__main__":
    child_main(quantise)
