"""Comparisons of language models' answers: `Studio.compare_text`. What comes of them is shown by
`Studio.compare`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.chat.client.capabilities import DEFAULT_MAX_TOKENS
from backend.compare.text.check import check, settled
from backend.compare.text.figures import row
from backend.compare.text.named import find_variant
from backend.compare.text.run import begun
from backend.contracts import CompareTextRequest, JobKind, TextReport, TextVariant
from backend.jobs.store import JobRow
from backend.language import LANGUAGES
from backend.quantize.language.questions import QUESTIONS
from backend.studio.chat import Chat
from backend.studio.compare import MAX_TITLE_CHARACTERS, Comparisons, Sort
from backend.studio.desk import Desk


class CompareText:
    def __init__(self, desk: Desk, chat: Chat, comparisons: Comparisons) -> None:
        self._desk, self._chat = desk, chat
        comparisons.sorts[JobKind.COMPARE_TEXT] = Sort(begun, self._again)

    def questions(self, language: str = "en") -> tuple[str, ...]:
        """The prompts that every quantised model is asked, in one of the studio's languages."""
        spoken = language if language in LANGUAGES else LANGUAGES[0]
        return tuple(each.prompt for each in QUESTIONS if each.language == spoken)

    def variants(self, names: Iterable[str], owner: str | None) -> tuple[TextVariant, ...]:
        """What each name means, see `find_variant`. Raises what that raises."""
        found = tuple(find_variant(self._desk.settings, name) for name in names)
        self._check_places(found, owner)
        return found

    def check(self, request: CompareTextRequest, owner: str | None) -> None:
        """Raise what `compare` would, without queueing anything."""
        self._check_places(request.variants, owner)
        check(self._desk.settings, settled(request))

    def compare(self, request: CompareTextRequest, owner: str | None) -> str:
        """Queue a comparison; the job's id, whose result is a CompareResult.

        Raises StudioError COMPARE_VARIANTS_COUNT, COMPARE_QUESTIONS_EMPTY,
        COMPARE_TOO_MANY_ANSWERS, CHAT_MODEL_NOT_FOUND, ARCHITECTURE_UNSUPPORTED,
        MODEL_FILES_CORRUPTED, CHECKPOINT_NOT_READABLE, SERVER_NOT_FOUND, SERVER_UNSUITABLE,
        MESSAGE_TOO_LONG, SAMPLING_OUT_OF_RANGE, CHAT_FIELD_UNSUPPORTED, TOO_MANY_WAITING.
        """
        self.check(request, owner)
        request = settled(request)
        tokens = request.sampling.max_tokens or DEFAULT_MAX_TOKENS
        work = float(len(request.variants) * len(request.prompts) * tokens)
        title = request.prompts[0][:MAX_TITLE_CHARACTERS]
        names = (f"{Path(one.model).name}/{one.kind}" for one in request.variants)
        variant = ", ".join(names)[:200]
        return self._desk.submit(JobKind.COMPARE_TEXT, owner, title, variant, request, work)

    def rows(self, report: TextReport) -> tuple[dict[str, Any], ...]:
        """The figures of each server as plain values: medians."""
        return tuple(row(server) for server in report.variants)

    def _check_places(self, variants: Iterable[TextVariant], owner: str | None) -> None:
        for variant in variants:
            self._chat.check_place(variant.model, owner)

    def _again(self, row: JobRow, owner: str | None) -> str:
        return self.compare(CompareTextRequest.model_validate(row.request), owner)
