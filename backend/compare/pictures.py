"""The phases of a job that compares pictures: paint (backend/images/compare), score, write.

All that is known so far is in `report.json`, written anew after every picture: a killed job goes on
from there, and whoever looks sees it grow.
"""

import logging
from collections.abc import Mapping
from typing import Any

from backend.compare.figures import summarised
from backend.compare.html import write_html
from backend.compare.report import REPORT, new_report, read_report, write_manifest, write_report
from backend.compare.score import Score, Scorer, similarity_folder
from backend.contracts import (
    ComparedPicture,
    ComparedState,
    ComparedVariant,
    CompareRequest,
    CompareResult,
    PictureReport,
)
from backend.engines.cache import list_engines
from backend.engines.host import this_host
from backend.jobs.context import JobCancelled, JobContext, JobRequeued
from backend.jobs.main_thread import MainThread
from backend.jobs.store import JobRow
from backend.language import text
from backend.models.catalog import find_model
from backend.settings import Settings


class Book:
    """The report of a comparison while it is made; what is put into it is on disk at once."""

    def __init__(self, settings: Settings, row: JobRow) -> None:
        """Goes on with what is there. Raises StudioError REPORT_UNREADABLE, and what `new_report`
        raises."""
        self.folder = settings.outputs / row.id
        self.report = self._kept() or begin_report(settings, row)
        self._put()

    @property
    def request(self) -> CompareRequest:
        return self.report.request

    def variant(self, index: int) -> ComparedVariant:
        return self.report.variants[index]

    def change(self, index: int, **values: Any) -> None:
        """Of a variant."""
        variants = list(self.report.variants)
        variants[index] = variants[index].model_copy(update=values)
        self._put(variants=tuple(variants))

    def try_again(self) -> None:
        """Let variants wait that failed when the job was run before."""
        for index, variant in enumerate(self.report.variants):
            if variant.state is ComparedState.FAILED:
                self.change(index, state=ComparedState.WAITING, error=None)

    def encoded_by(self, index: int) -> None:
        self._put(encoded_by=index)

    def add(self, picture: ComparedPicture) -> None:
        self._put(pictures=(*self.report.pictures, picture))

    def score(self, scores: Mapping[str, Score]) -> None:
        """Of pictures by their file."""
        self._put(
            pictures=tuple(
                one.model_copy(update=scores.get(one.file, {})) for one in self.report.pictures
            )
        )

    def without_similarity(self) -> None:
        self._put(similarity_model=None)

    def _put(self, **values: Any) -> None:
        self.report = summarised(self.report.model_copy(update=values))
        write_report(self.report, self.folder)

    def _kept(self) -> PictureReport | None:
        """The report of an earlier start, without pictures that have gone."""
        if not (self.folder / REPORT).is_file():
            return None
        report = read_report((self.folder / REPORT).read_bytes())
        assert isinstance(report, PictureReport)
        pictures = tuple(one for one in report.pictures if (self.folder / one.file).is_file())
        return report.model_copy(update={"pictures": pictures})


def begin_report(settings: Settings, row: JobRow) -> PictureReport:
    """The report of a job that has not painted anything. Raises StudioError MODEL_UNKNOWN."""
    request = CompareRequest.model_validate(row.request)
    return new_report(
        request,
        find_model(settings, request.model),
        list_engines(settings, this_host()),
        job=row.id,
        title=row.title,
        similarity_model=settings.similarity_model if similarity_folder(settings) else None,
    )


def score(context: JobContext, settings: Settings, main_thread: MainThread) -> None:
    """What was not scored beside the painting, and the learned measure."""
    book, scorer = Book(settings, context.row), Scorer(settings.outputs / context.row.id)

    def on_progress(done: int, total: int) -> None:
        context.check()
        context.report("score", done, total)

    context.report("score")
    try:
        scorer.begin(book.report)
        book.score(scorer.finish(on_progress))
    finally:
        scorer.close()
    _score_likeness(context, settings, main_thread, book)


def _score_likeness(
    context: JobContext, settings: Settings, main_thread: MainThread, book: Book
) -> None:
    """The learned measure, where there is one; without it the rest still stands."""
    folder = similarity_folder(settings)
    if folder is None or book.report.similarity_model is None:
        return

    def work() -> dict[str, float]:
        from backend.images.similarity import similarities

        return similarities(folder, book.report, book.folder, context.check)

    try:
        found = main_thread.call(work)
    except (JobCancelled, JobRequeued):
        raise
    except Exception as error:  # noqa: BLE001  a broken folder of somebody else's model
        logging.getLogger(__name__).warning("%s: %r", folder, error)
        context.report("score", message=text("compare.unlike", model=settings.similarity_model))
        book.without_similarity()
    else:
        book.score({file: {"similarity": value} for file, value in found.items()})


def write(context: JobContext, settings: Settings) -> dict[str, Any]:
    """`report.html` and `manifest.json` beside the report; a `CompareResult` as data."""
    context.report("write")
    book = Book(settings, context.row)
    write_html(book.report, book.folder)
    write_manifest(book.report, book.folder)
    result = CompareResult(folder=str(book.folder), rows=book.report.variants)
    return result.model_dump(mode="json")
