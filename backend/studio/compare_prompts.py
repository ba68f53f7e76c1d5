"""What comparisons are asked of: files of prompts, built-in ones, and how long pictures took here.
`Studio.compare_prompts`."""

import json
import statistics
from collections.abc import Iterable

from backend.contracts import CompareVariant, EngineRequest, JobKind, Precision
from backend.engines.options import prompts_of
from backend.errors import Code, StudioError
from backend.language import text
from backend.models.catalog import find_model, variant_key
from backend.quantize.prompts import MAX_PROMPTS_BYTES, parse_prompts, read_prompts
from backend.studio.desk import Desk

FIELDS = ("prompt", "text")
"""Of a `.jsonl` file's objects; the first one that is there counts."""


class ComparePrompts:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, content: bytes, name: str) -> tuple[str, ...]:
        """Those of a file: of a `.jsonl` one object a line with `prompt` or `text`, of any other
        text one a line. Raises StudioError PROMPTS_UNREADABLE."""
        if not name.lower().endswith(".jsonl"):
            return parse_prompts(content, name)
        if len(content) > MAX_PROMPTS_BYTES:
            parse_prompts(content, name)
        lines = enumerate(content.decode("utf-8-sig", errors="replace").split("\n"), 1)
        found = tuple(_prompt(line, number, name) for number, line in lines if line.strip())
        return found or parse_prompts(b"", name)

    def built_in(self, model: str) -> tuple[str, ...]:
        """A picture model's own prompts, else the studio's. Raises StudioError MODEL_UNKNOWN."""
        settings = self._desk.settings
        asked = EngineRequest(model=model, precision=Precision.FP16)
        return read_prompts(prompts_of(settings, asked, find_model(settings, model)))

    def estimate_s(
        self, model: str, variants: Iterable[CompareVariant], megapixel_steps: float
    ) -> float | None:
        """How long the variants take to paint that much each, by the last pictures that they made
        here, with the loading and encoding of those; None where one of them made none."""
        total = 0.0
        for one in variants:
            key = variant_key(model, one.precision, one.runtime)
            known = self._desk.store.durations(key, kind=JobKind.GENERATE)
            if not known:
                return None
            total += statistics.median(seconds / work for work, seconds in known)
        return total * megapixel_steps


def _prompt(line: str, number: int, name: str) -> str:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise _refused(name, number, str(error)) from error
    told = value if isinstance(value, dict) else {}
    found = next((told[field] for field in FIELDS if told.get(field)), None)
    if not isinstance(found, str) or not found.strip():
        raise _refused(name, number)
    return found.strip()


def _refused(name: str, number: int, detail: str = "") -> StudioError:
    problem = text("compare.problem.line", line=number)
    return StudioError(Code.PROMPTS_UNREADABLE, detail, path=name, problem=problem)
