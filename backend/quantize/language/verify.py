"""Check an exported checkpoint, in a child process; and score its weights where the quantised model
itself could not be run."""

from pathlib import Path
from typing import Any

import torch

from backend.contracts import Quality, QuantizeRequest
from backend.jobs.children import News, child_main
from backend.quantize.costs import Costs
from backend.quantize.language.check import (
    check_files,
    check_sizes,
    check_tensors,
    compare_weights,
    put_weights,
)
from backend.quantize.language.load import load_model, pick_device
from backend.quantize.language.recipes import find_recipe
from backend.quantize.language.samples import Asking
from backend.quantize.language.score import score
from backend.quantize.language.work import EXPORT, REFERENCE, Teller, say_score, tokens_of


def verify(arguments: dict[str, Any], send: News) -> dict[str, Any]:
    """Errors by layer, sizes by file, and the score and answers of the weights where there are none
    yet.

    Raises StudioError CHECKPOINT_CHECK_FAILED, MODEL_FILES_CORRUPTED.
    """
    source, work = Path(arguments["source"]), Path(arguments["work"])
    folder = work / EXPORT
    forms = {layer: find_recipe(name) for layer, name in arguments["layers"].items()}
    costs = Costs(torch.device("cpu"))
    tell = Teller(send, costs)
    tell("check")
    with costs.phase("check"):
        check_files(source, folder, arguments["algorithm"])
        check_tensors(source, folder, forms, mixed=len(set(arguments["layers"].values())) > 1)
        errors = compare_weights(
            source, folder, forms, lambda done, total: tell("check", done, total)
        )
        files = check_sizes(folder)
    quality, answers = arguments["quality"], arguments["answers"]
    if quality is None:
        with costs.phase("evaluate"):
            model = _plain_model(source, folder)
            quality = _score_weights(model, arguments, source, work, tell)
        say_score(tell, quality)
        with costs.phase("samples_after"):
            asking = Asking(source, work, arguments["answer_tokens"])
            answers = asking.after(
                model, "weights_only", lambda done, total: tell("samples_after", done, total)
            ).model_dump(mode="json")
    return {
        "phases": costs.phases,
        "quality": quality,
        "answers": answers,
        "errors": errors,
        "files": files,
    }


def _plain_model(source: Path, folder: Path) -> Any:
    """The source's model with the checkpoint's weights, computed back."""
    model = load_model(source, pick_device())
    with torch.inference_mode():
        put_weights(model, folder)
    return model


def _score_weights(
    model: Any, arguments: dict[str, Any], source: Path, work: Path, tell: Teller
) -> dict[str, Any]:
    request = QuantizeRequest.model_validate(arguments["request"])
    held = tokens_of(Path(arguments["home"]), source, request, calibrated=False).evaluation
    tell("evaluate", 0, len(held))
    found = score(
        model,
        held,
        work / REFERENCE,
        lambda done: tell("evaluate", done, len(held)),
    )
    return Quality(scope="weights_only", **found).model_dump(mode="json")


if __name__ == "__main__":
    child_main(verify)
