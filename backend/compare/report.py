"""`report.json` of a comparison: begun, written, and read back with care."""

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from backend.compare.figures import summarised, unlike
from backend.compare.html import embedded_report
from backend.compare.machine import this_machine
from backend.compare.text.reading import flaw
from backend.contracts import (
    ComparedState,
    ComparedVariant,
    CompareRequest,
    Engine,
    PictureReport,
    Precision,
    Report,
    Runtime,
    TextReport,
)
from backend.engines.variants import engines_of
from backend.errors import Code, StudioError
from backend.language import Value, text
from backend.models import files
from backend.models.catalog import Entry

REPORT, MANIFEST = "report.json", "manifest.json"
FORMAT = 1
MAX_REPORT_BYTES = 1024**3
KINDS: dict[str, type[PictureReport] | type[TextReport]] = {
    "pictures": PictureReport,
    "text": TextReport,
}
ROUNDED = frozenset({Precision.FP8, Precision.NVFP4})
"""Precisions that ONNX Runtime rounds values to while it computes in FP32."""


def new_report(
    request: CompareRequest,
    entry: Entry,
    engines: Iterable[Engine],
    *,
    job: str,
    title: str,
    similarity_model: str | None,
) -> PictureReport:
    """A report that nothing was painted for yet."""
    known, size = list(engines), (request.width, request.height)
    made = [engines_of(entry, one.precision, one.runtime, known, size) for one in request.variants]
    return PictureReport(
        id=job,
        title=title,
        made_at=time.time(),
        model_name=entry.name,
        source=entry.repo or Path(entry.source).name,
        fingerprint=_fingerprint(entry, made),
        request=request,
        similarity_model=similarity_model,
        machine=this_machine(),
        variants=tuple(
            _new_variant(one.precision, one.runtime, entry, on)
            for one, on in zip(request.variants, made, strict=True)
        ),
    )


def write_report(report: Report, folder: Path) -> None:
    """Whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{REPORT}.part"
    unfinished.write_text(report.model_dump_json(indent=1), encoding="utf-8")
    unfinished.replace(folder / REPORT)


def write_manifest(report: Report, folder: Path) -> None:
    """What made the files beside it, and the digests of its pictures. Raises OSError."""
    made = {
        "format": report.format,
        "kind": f"comparison of {report.kind}",
        "id": report.id,
        "made_at": report.made_at,
        "request": report.request.model_dump(mode="json"),
        "machine": report.machine.model_dump(mode="json"),
        "sha256": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.glob("v*.png"))
        },
    }
    unfinished = folder / f"{MANIFEST}.part"
    unfinished.write_text(json.dumps(made, ensure_ascii=False, indent=1), encoding="utf-8")
    unfinished.replace(folder / MANIFEST)


def read_report(content: bytes) -> Report:
    """The report in a `report.json` or `report.html`, whoever made it.

    Raises StudioError REPORT_UNREADABLE, which says where it is broken or edited, REPORT_NEWER.
    """
    data = _data(content)
    kind = KINDS.get(str(data.get("kind")))
    if kind is None:
        _refuse("no_report")
    found = data.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise StudioError(Code.REPORT_NEWER, found=found, known=FORMAT)
    try:
        report = kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        _refuse("field", str(error)[:4000], place=place, problem=first["msg"])
    if isinstance(report, PictureReport):
        _check(report)
    elif wrong := flaw(report):
        reason, place = wrong
        _refuse(reason, place=place)
    return report


def _data(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_REPORT_BYTES:
        _refuse("large", limit_bytes=MAX_REPORT_BYTES)
    try:
        if content.lstrip()[:1] == b"<":
            content = embedded_report(content)
        data = json.loads(content, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        _refuse("no_json", repr(error)[:4000])
    if not isinstance(data, dict):
        _refuse("no_report")
    return data


def _check(report: PictureReport) -> None:
    """What its fields alone do not say: that places are of the request, that files are its own, and
    that figures are those of its pictures."""
    request = report.request
    sides = [(one.precision, one.runtime) for one in report.variants]
    if sides != [(one.precision, one.runtime) for one in request.variants]:
        _refuse("variants", place="variants")
    for name in ("reference", "encoded_by"):
        value = getattr(report, name)
        if value is not None and not 0 <= value < len(sides):
            _refuse("place", place=name)
    limits = (len(sides), len(request.prompts), len(request.seeds))
    seen = set()
    for index, picture in enumerate(report.pictures):
        place = (picture.variant, picture.prompt, picture.seed)
        within = all(0 <= value < limit for value, limit in zip(place, limits, strict=True))
        if not within or place in seen:
            _refuse("place", place=f"pictures.{index}")
        seen.add(place)
        name = f"v{picture.variant}-p{picture.prompt}-s{picture.seed}.png"
        if picture.file != name and not picture.file.startswith("data:image/png;base64,"):
            _refuse("file", place=f"pictures.{index}.file")
    edited = unlike(report, summarised(report))
    if edited:
        _refuse("figures", place=edited)


def _refuse(reason: str, detail: str = "", /, **values: Value) -> NoReturn:
    problem = text(f"compare.problem.{reason}", **values)
    raise StudioError(Code.REPORT_UNREADABLE, detail, problem=problem)


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no figure")


def _new_variant(
    precision: Precision, runtime: Runtime, entry: Entry, engines: dict[str, Engine]
) -> ComparedVariant:
    on_torch = runtime is Runtime.TORCH and entry.folder is not None
    weights = files.weight_files(entry.folder) if on_torch and entry.folder else []
    return ComparedVariant(
        precision=precision,
        runtime=runtime,
        state=ComparedState.WAITING,
        simulated=runtime is Runtime.ONNXRUNTIME and precision in ROUNDED,
        engine_bytes=sum(one.manifest.size_bytes for one in engines.values()) if engines else None,
        weights_bytes=sum(file.stat().st_size for file in weights) if weights else None,
    )


def _fingerprint(entry: Entry, made: list[dict[str, Engine]]) -> str:
    """Of the model's weights; of what its engines were made from where these are not here."""
    if entry.folder is not None:
        return files.fingerprint(entry.folder, entry.digests)
    marks = sorted({one.manifest.model_fingerprint for each in made for one in each.values()})
    return " ".join(marks)
