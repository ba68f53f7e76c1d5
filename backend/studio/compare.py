"""Comparisons of pictures, and the reports of all comparisons: `Studio.compare`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from backend.compare.figures import row
from backend.compare.html import write_html
from backend.compare.order import check, find_variant, settled
from backend.compare.pictures import begin_report
from backend.compare.prompts import builtin_prompts, parse_list
from backend.compare.report import REPORT, read_report, write_report
from backend.contracts import (
    CompareRequest,
    CompareVariant,
    ComparisonEntry,
    JobKind,
    PictureReport,
    Report,
)
from backend.errors import Code, StudioError
from backend.jobs.retention import delete_job
from backend.jobs.store import JobRow, jobs
from backend.models.catalog import find_model, variant_key
from backend.models.files import folder_bytes
from backend.studio.desk import Desk
from backend.studio.engines import Engines
from backend.studio.models import Models

Rows = tuple[dict[str, Any], ...]
HTML = "report.html"
MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True)
class Sort:
    """What differs between comparisons of pictures and of answers."""

    begun: Callable[[JobRow], Report]
    """The report of a job that has not written one yet."""
    again: Callable[[JobRow, str | None], str]
    """Queue the job's request once more; the new job's id."""


class Comparisons:
    """Each is its owner's, as its job is.

    Raises StudioError COMPARISON_NOT_FOUND for an id that is none of the owner's.
    """

    def __init__(self, desk: Desk, models: Models, engines: Engines) -> None:
        self._desk = desk
        self._models = models
        self._engines = engines
        self.sorts = {JobKind.COMPARE: Sort(self._begun, self._again)}

    def check(self, request: CompareRequest) -> None:
        """Raise what `compare` would, without queueing anything."""
        entry = find_model(self._desk.settings, request.model)
        engines = self._engines.all()
        check(settled(request), entry, self._models.describe(entry, engines), engines)

    def compare(self, request: CompareRequest, owner: str | None) -> str:
        """Queue a comparison of pictures; the job's id.

        Raises StudioError MODEL_UNKNOWN, TOO_MANY_WAITING, and what `order.check` raises.
        """
        self.check(request)
        request = settled(request)
        pictures = len(request.variants) * len(request.prompts) * len(request.seeds)
        work = pictures * request.steps * request.width * request.height / 1024**2
        title = request.prompts[0][:MAX_TITLE_CHARACTERS]
        key = f"{request.model}/compare"
        return self._desk.submit(JobKind.COMPARE, owner, title, key, request, work)

    def variants(self, names: Iterable[str], model: str) -> tuple[CompareVariant, ...]:
        """What `fp8/onnxruntime` or `fp8` mean; the latter is the first one that is ready.

        Raises StudioError MODEL_UNKNOWN, INVALID_REQUEST, VARIANT_UNAVAILABLE.
        """
        found = self._models.find(model)
        return tuple(find_variant(name, found) for name in names)

    def builtin_prompts(self, model: str) -> tuple[str, ...]:
        """The studio's own for this model, any number of the first ones being a mixture. Raises
        StudioError MODEL_UNKNOWN."""
        return builtin_prompts(find_model(self._desk.settings, model))

    def parse_prompts(self, content: bytes, name: str) -> tuple[str, ...]:
        """Those of a file called `name`, .txt or .jsonl. Raises StudioError PROMPTS_UNREADABLE."""
        return parse_list(content, name)

    def estimate_s(self, request: CompareRequest) -> float | None:
        """How long the variants take to paint, by the last pictures that they made here, with the
        loading and encoding of those; None where one of them made none."""
        pictures = len(request.prompts) * len(request.seeds)
        work = pictures * request.steps * request.width * request.height / 1024**2
        total = 0.0
        for one in request.variants:
            key = variant_key(request.model, one.precision, one.runtime)
            known = self._desk.store.durations(key, kind=JobKind.GENERATE)
            if not known:
                return None
            total += work * median(seconds / done for done, seconds in known)
        return total

    def list(
        self, owner: str | None, search: str = "", limit: int = 30
    ) -> tuple[ComparisonEntry, ...]:
        """Both sorts, the newest first, whose title, prompts, model or variants hold `search`."""
        conditions = [] if owner is None else [jobs.c.owner == owner]
        kinds = jobs.c.kind.in_([str(JobKind.COMPARE), str(JobKind.COMPARE_TEXT)])
        rows = self._desk.store.select(kinds, *conditions)
        found = (row for row in rows if search.casefold() in _words(row).casefold())
        return tuple(self._entry(row) for row in islice(found, limit))

    def show(self, comparison: str, owner: str | None) -> Report:
        """The report, as far as it has come while the job waits or runs.

        Raises StudioError REPORT_UNREADABLE, REPORT_NEWER.
        """
        return self._report(self._find(comparison, owner))

    def file(self, comparison: str, name: str, owner: str | None) -> Path:
        """One of its files."""
        folder = self._folder(self._find(comparison, owner))
        if Path(name).name != name or name.startswith(".") or not (folder / name).is_file():
            raise _not_found(f"{comparison}/{name}")
        return folder / name

    def html(self, comparison: str, owner: str | None) -> Path:
        """Its `report.html`; one that is not there, or of a job that still runs, is written now.

        Raises StudioError REPORT_UNREADABLE, REPORT_NEWER.
        """
        row = self._find(comparison, owner)
        file = self._folder(row) / HTML
        if row.state.is_live or not file.is_file():
            report = self._report(row)
            file.parent.mkdir(parents=True, exist_ok=True)
            return write_html(report, file.parent)
        return file

    def rename(self, comparison: str, title: str, owner: str | None) -> None:
        """Raises StudioError JOB_STILL_RUNNING, INVALID_REQUEST for an empty title."""
        row = self._ended(comparison, owner)
        title = " ".join(title.split())[:MAX_TITLE_CHARACTERS]
        if not title:
            raise StudioError(Code.INVALID_REQUEST, problem="the title is empty")
        folder = self._folder(row)
        if (folder / REPORT).is_file():
            report = self._report(row).model_copy(update={"title": title})
            write_report(report, folder)
            (folder / HTML).unlink(missing_ok=True)
        self._desk.store.update(row.id, title=title)

    def repeat(self, comparison: str, owner: str | None) -> str:
        """Queue the same request again; the new job's id. Raises what queueing it raises."""
        row = self._find(comparison, owner)
        return self.sorts[row.kind].again(row, owner)

    def delete(self, comparison: str, owner: str | None) -> None:
        """Raises StudioError JOB_STILL_RUNNING."""
        row = self._ended(comparison, owner)
        delete_job(self._desk.settings, self._desk.store, self._desk.queue, row)

    def read(self, content: bytes) -> Report:
        """Somebody's `report.json` or `report.html`.

        Raises StudioError REPORT_UNREADABLE, REPORT_NEWER.
        """
        return read_report(content)

    def rows(self, report: PictureReport) -> Rows:
        """The figures of each variant as plain numbers: medians."""
        return tuple(row(variant) for variant in report.variants)

    def _find(self, comparison: str, owner: str | None) -> JobRow:
        row = self._desk.store.find(comparison)
        if row is None or owner not in (None, row.owner) or row.kind not in self.sorts:
            raise _not_found(comparison)
        return row

    def _ended(self, comparison: str, owner: str | None) -> JobRow:
        row = self._find(comparison, owner)
        if row.state.is_live:
            raise StudioError(Code.JOB_STILL_RUNNING)
        return row

    def _folder(self, row: JobRow) -> Path:
        return self._desk.settings.outputs / row.id

    def _report(self, row: JobRow) -> Report:
        try:
            content = (self._folder(row) / REPORT).read_bytes()
        except FileNotFoundError:
            return self.sorts[row.kind].begun(row)
        except OSError as error:
            raise _not_found(row.id) from error
        return read_report(content)

    def _begun(self, row: JobRow) -> PictureReport:
        return begin_report(self._desk.settings, row)

    def _again(self, row: JobRow, owner: str | None) -> str:
        return self.compare(CompareRequest.model_validate(row.request), owner)

    def _entry(self, row: JobRow) -> ComparisonEntry:
        entry = ComparisonEntry(
            id=row.id,
            kind="pictures" if row.kind is JobKind.COMPARE else "text",
            title=row.title,
            subject=", ".join(dict.fromkeys(_models(row))),
            variants=_variants(row),
            made_at=row.finished_at or row.created_at,
            state=str(row.state),
            prompts=len(row.request.get("prompts", ())),
            size_bytes=folder_bytes(self._folder(row)),
        )
        if not (self._folder(row) / REPORT).is_file():
            return entry
        try:
            report = self._report(row)
        except StudioError as error:
            return entry.model_copy(update={"problem": error.info})
        pictures = len(report.pictures) if isinstance(report, PictureReport) else 0
        return entry.model_copy(update={"pictures": pictures, "device": report.machine.device})


def _models(row: JobRow) -> list[str]:
    """Of the request: one, or one a variant."""
    request = row.request
    return [request["model"]] if "model" in request else [v["model"] for v in request["variants"]]


def _variants(row: JobRow) -> tuple[str, ...]:
    """`fp8/tensorrt`, or model and server."""
    first, second = ("precision", "runtime") if row.kind is JobKind.COMPARE else ("model", "kind")
    return tuple(f"{one[first]}/{one[second]}" for one in row.request["variants"])


def _words(row: JobRow) -> str:
    """What is searched in."""
    return "\n".join([row.title, *row.request.get("prompts", ()), *_models(row), *_variants(row)])


def _not_found(comparison: str) -> StudioError:
    return StudioError(Code.COMPARISON_NOT_FOUND, comparison=comparison[:120])
