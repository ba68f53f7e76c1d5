"""From a model's folder to the ONNX files that its engines are built from, in a child process."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from diffusers import DiffusionPipeline

from backend.contracts import Precision
from backend.engines import needs
from backend.engines.cache import LAYERS, ONNX, data_file, sha256_of
from backend.engines.check import Reference, check, reference
from backend.engines.export import export
from backend.engines.lower import lower
from backend.engines.modules import ExportModule, module_of
from backend.engines.network import layers_of
from backend.engines.validated import reference_file
from backend.engines.weights import WeightWriter, load_graph
from backend.images.pipeline import load_pipeline
from backend.jobs.children import News, child_main
from backend.language import text
from backend.models.families import family_of
from backend.quantize.calibration import Calibration


def prepare(arguments: dict[str, Any], tell: News) -> list[dict[str, Any]]:
    """Write `<work>/<module>/model.onnx`, its data file and its layers for each of `modules`, and
    `<work>/<module>.reference.safetensors` for those that were checked.

    Each module names its `base` precision, that of the plain export, and its `precision`; plain
    exports are kept in `exports` and used again. The modules of one base precision, and what their
    example inputs come from, are in memory at a time; a file is run when torch's modules have left
    it. Raises StudioError EXPORT_DIFFERS and what load_pipeline, lower and Calibration.load raise.
    """
    wanted: list[dict[str, str]] = arguments["modules"]
    done: list[dict[str, Any]] = []
    total = 2 * len(wanted)
    for base in dict.fromkeys(one["base"] for one in wanted):
        made: list[tuple[dict[str, Any], Reference | None]] = []
        for source, one in _sources(arguments, base):
            tell({"step": len(done) + len(made), "total": total, "module": source.name})
            made.append(_prepare_one(arguments, source, one))
            source.module.to("meta")
        for facts, known in made:
            step = len(done) + len(made)
            tell({"step": step, "total": total, "module": facts["module"], "check": True})
            done.append(_checked(arguments, facts, known))
    tell({"step": total, "total": total})
    return done


def _sources(arguments: dict[str, Any], base: str) -> Iterator[tuple[ExportModule, dict[str, str]]]:
    """The modules to prepare in one base precision; whoever asks for the next one is done with
    the one before."""
    wanted = {one["module"]: one for one in arguments["modules"] if one["base"] == base}
    pipeline = _pipeline_for(arguments, wanted, Precision(base))
    size = arguments["sample_size"]
    sources = {name: module_of(pipeline, name, *size) for name in wanted}
    for name, one in wanted.items():
        yield sources[name], one


def _pipeline_for(
    arguments: dict[str, Any], wanted: Iterable[str], base: Precision
) -> DiffusionPipeline:
    """The pipeline without what none of these modules needs."""
    folder, model = Path(arguments["folder"]), arguments["model"]
    family = family_of(folder, model)
    assert family is not None
    left_out = set(family.components) - set(family.needed_for(wanted))
    return load_pipeline(folder, model, base, torch.device("cpu"), left_out)


def plain_export(arguments: dict[str, Any], source: ExportModule, base: Precision) -> Path:
    """The module's plain export, made unless it is there."""
    folder = Path(arguments["exports"]) / f"{source.name}.{base}"
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
        unfinished.mkdir(parents=True)
        try:
            export(source, unfinished / ONNX)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
    return folder / ONNX


def _link(source: Path, target: Path) -> None:
    """The same file under a second name where the disk can do that, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _prepare_one(
    arguments: dict[str, Any], source: ExportModule, one: dict[str, str]
) -> tuple[dict[str, Any], Reference | None]:
    base, precision = Precision(one["base"]), Precision(one["precision"])
    plain = plain_export(arguments, source, base)
    file = Path(arguments["work"]) / source.name / ONNX
    if file.parent.exists():
        shutil.rmtree(file.parent)
    file.parent.mkdir(parents=True)
    calibration = None
    if precision is base:
        _link(plain, file)
        _link(data_file(plain), data_file(file))
        model = load_graph(file)
    else:
        calibration = Calibration.load(Path(arguments["calibration"]))
        with WeightWriter(file) as writer:
            model = lower(load_graph(plain), plain.parent, source.prefix, calibration, writer)
        onnx.save(model, str(file))
    layers = [layer.model_dump(mode="json") for layer in layers_of(model, source.prefix)]
    (file.parent / LAYERS).write_text(json.dumps(layers), encoding="utf-8")
    parameters = sum(one.numel() for one in source.module.parameters())
    needed = needs.check_bytes(parameters, base, calibration is not None)
    free = needs.free_host_bytes()
    known = reference(source, base, calibration) if needed <= free else None
    facts = {
        "module": source.name,
        "base": base,
        "precision": precision,
        "onnx_sha256": sha256_of(file),
        "relative_error": None,
        "check": text("check.skipped", needed_bytes=needed, free_bytes=free),
        "inputs": {name: list(tensor.shape) for name, tensor in source.inputs.items()},
        "dynamic": {name: list(axes.items()) for name, axes in source.dynamic.items()},
    }
    return facts, known


def _checked(
    arguments: dict[str, Any], facts: dict[str, Any], known: Reference | None
) -> dict[str, Any]:
    """The facts with the file's error, the reference kept for the engine built from it."""
    work = Path(arguments["work"])
    if known is not None:
        file = work / facts["module"] / ONNX
        error, how = check(facts["module"], file, facts["base"], facts["precision"], known)
        known.save(reference_file(work, facts["module"]))
        facts |= {"relative_error": error, "allowed": known.allowed, "check": text(f"check.{how}")}
    return facts | {"check": facts["check"].model_dump(mode="json")}


if __name__ == "__main__":
    child_main(prepare)
