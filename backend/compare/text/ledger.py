"""The report of a comparison of answers while it comes about, and its file."""

import asyncio
import time
from pathlib import Path
from typing import Any

from backend.chat.client.exchange import Said
from backend.compare.report import REPORT, write_report
from backend.compare.text.figures import counted, likeness, same_characters, summarised
from backend.contracts import ComparedAnswer, ComparedState, TextReport
from backend.errors import ErrorInfo
from backend.models.families.tokens import token_ids

SAVE_S = 0.2
SAVING_SHARE = 0.05
"""Of the time, at the most, goes into writing a long report."""
WAITING, RUNNING, DONE, FAILED = ComparedState


class Ledger:
    """Used by one thread alone. What changes is written at most five times a second."""

    def __init__(self, folder: Path, report: TextReport) -> None:
        self.folder = folder
        self._report = report
        self._variants = list(report.variants)
        self._answers = {(one.variant, one.prompt): one for one in report.answers}
        self._tokenizer: Path | None = None
        self._changed, self._due_at = True, 0.0

    def report(self) -> TextReport:
        """As it stands, with the figures of the answers that are done."""
        for (variant, prompt), answer in self._answers.items():
            reference = self._reference(variant, prompt)
            if answer.state is RUNNING and reference is not None:
                same = same_characters(reference, answer)
                self._answers[variant, prompt] = answer.model_copy(update={"same_characters": same})
        parts = {"variants": tuple(self._variants), "answers": tuple(self._answers.values())}
        return summarised(self._report.model_copy(update=parts))

    def save(self) -> None:
        """Raises OSError."""
        self._changed = False
        write_report(self.report(), self.folder)

    async def save_if_due(self) -> None:
        """Beside whoever writes an answer: only the report is put together here. Raises OSError."""
        since = time.monotonic()
        if not self._changed or since < self._due_at:
            return
        self._changed = False
        await asyncio.to_thread(write_report, self.report(), self.folder)
        took = time.monotonic() - since
        self._due_at = since + max(SAVE_S, took / SAVING_SHARE)

    # ---- what is still to be done ------------------------------------------------------------

    def to_ask(self, variant: int) -> list[int]:
        """The prompts that it has not answered, none of a variant that failed."""
        if self._variants[variant].state is FAILED:
            return []
        return [
            one.prompt
            for one in self._answers.values()
            if one.variant == variant and one.state in (WAITING, RUNNING)
        ]

    def ended(self) -> int:
        """How many answers are done, or will never be."""
        return sum(one.state in (DONE, FAILED) for one in self._answers.values())

    # ---- what happens ------------------------------------------------------------------------

    def change(self, **changes: Any) -> None:
        self._report = self._report.model_copy(update=changes)
        self._changed = True

    def change_server(self, variant: int, **changes: Any) -> None:
        self._variants[variant] = self._variants[variant].model_copy(update=changes)
        self._changed = True

    def held(self, variant: int, memory_bytes: int) -> None:
        """What its server's processes hold at one moment, where that can be seen."""
        if memory_bytes > (self._variants[variant].peak_memory_bytes or 0):
            self.change_server(variant, peak_memory_bytes=memory_bytes)

    def use_tokenizer(self, folder: Path) -> None:
        """That of the reference; read now, so that no answer waits for it."""
        if (folder / "tokenizer.json").is_file():
            token_ids(folder, "")
            self._tokenizer = folder

    def begin(self, variant: int, prompt: int) -> None:
        blank = ComparedAnswer(variant=variant, prompt=prompt, state=RUNNING)
        self._answers[variant, prompt] = blank
        self.change_server(variant, state=RUNNING)

    def write(self, variant: int, prompt: int, said: Said) -> None:
        """What an answer says so far."""
        self._change(variant, prompt, reasoning=said.reasoning, text=said.text)

    def share(self, variant: int, prompt: int) -> None:
        """Another server wrote at the same time."""
        self._change(variant, prompt, alone=False)

    def finish(self, variant: int, prompt: int, **figures: Any) -> None:
        self._change(variant, prompt, state=DONE, **figures)
        self._compare(variant, prompt)
        if variant == self._report.reference:
            for other in range(len(self._variants)):
                if self._answers[other, prompt].state is DONE:
                    self._compare(other, prompt)

    def fail(self, variant: int, prompt: int, error: ErrorInfo) -> None:
        self._change(variant, prompt, state=FAILED, error=error)

    def give_up(self, variant: int, error: ErrorInfo) -> None:
        """It fails as a whole; what it has answered stays."""
        for prompt in self.to_ask(variant):
            self.fail(variant, prompt, error)
        self.change_server(variant, state=FAILED, error=error)

    def close(self, variant: int) -> None:
        """All its answers have ended: it fails where none is done."""
        if self._variants[variant].state is FAILED:
            return
        answers = [one for one in self._answers.values() if one.variant == variant]
        if any(one.state is DONE for one in answers):
            self.change_server(variant, state=DONE)
        else:
            self.change_server(variant, state=FAILED, error=answers[0].error)

    def put_down(self) -> None:
        """The job ends before its time: what is not done waits."""
        for (variant, prompt), one in self._answers.items():
            if one.state is RUNNING:
                self._change(variant, prompt, state=WAITING)
        for variant, server in enumerate(self._variants):
            if server.state is RUNNING:
                self.change_server(variant, state=WAITING)
        self.save()

    def _change(self, variant: int, prompt: int, **changes: Any) -> None:
        answer = self._answers[variant, prompt]
        self._answers[variant, prompt] = answer.model_copy(update=changes)
        self._changed = True

    def _reference(self, variant: int, prompt: int) -> ComparedAnswer | None:
        """What an answer is compared with; nothing while that is being written."""
        reference = self._answers[self._report.reference, prompt]
        other = variant != self._report.reference
        return reference if other and reference.state is DONE else None

    def _compare(self, variant: int, prompt: int) -> None:
        answer, reference = self._answers[variant, prompt], self._reference(variant, prompt)
        if reference is not None:
            self._change(variant, prompt, **likeness(reference, answer, self._tokenizer))
        else:
            self._change(variant, prompt, **counted(answer, self._tokenizer))


def open_ledger(folder: Path, begun: TextReport) -> Ledger:
    """That of a job; of one that was killed or is tried again with the answers that are done."""
    try:
        old = TextReport.model_validate_json((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return Ledger(folder, begun)
    done = {(one.variant, one.prompt): one for one in old.answers if one.state is DONE}
    answers = tuple(done.get((one.variant, one.prompt), one) for one in begun.answers)
    variants = []
    for index, server in enumerate(old.variants):
        whole = all(one.state is DONE for one in answers if one.variant == index)
        state = {"state": DONE if whole else WAITING, "error": None}
        variants.append(server.model_copy(update=state))
    changes = {"answers": answers, "variants": tuple(variants)}
    return Ledger(folder, old.model_copy(update=changes))
