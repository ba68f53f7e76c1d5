"""How far a comparison has come."""

import time

from backend.compare.pictures import Book
from backend.contracts import ImageResult
from backend.jobs.context import JobContext


class Progress:
    """Steps over all pictures of all variants; their rate is that of the variant at work."""

    def __init__(self, context: JobContext, book: Book, steps: int) -> None:
        request = book.request
        pictures = len(request.variants) * len(request.prompts) * len(request.seeds)
        self._context, self._steps, self._total = context, steps, pictures * steps
        self._done = len(book.report.pictures) * steps
        self._own, self._spent_s, self._begun_at = 0, 0.0, 0.0

    def begin(self) -> None:
        self._begun_at = time.perf_counter()
        self._context.report("pictures", self._done, self._total)

    def tell(self, step: int) -> None:
        """Raises JobCancelled, JobRequeued."""
        self._context.check()
        self._context.report(
            "pictures", self._done + step + 1, self._total, rate=self._rate(step + 1)
        )

    def finish(self, image: ImageResult) -> None:
        self._done += self._steps
        self._own += self._steps
        self._spent_s += time.perf_counter() - self._begun_at
        self._context.report("pictures", self._done, self._total, image=image)

    def _rate(self, steps: int) -> float:
        spent = self._spent_s + time.perf_counter() - self._begun_at
        return (self._own + steps) / spent
