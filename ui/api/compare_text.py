"""The public API's endpoint that compares language models' answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from backend.contracts import CompareTextRequest
from ui.api.answers import valid
from ui.api.compare import with_report
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def compare_text_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
    def compare_text(
        request: gr.Request,
        models: list[str],
        prompts: list[str],
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 256,
        seed: int | None = None,
        together: bool = False,
    ) -> News:
        """Put the same prompts to two to four servers of language models, each named as `MODEL`,
        `MODEL@transformers` (or another server), `MODEL@simulated` or `outside`; the first is the
        reference. Those that run are used, others are started and stopped again; `together` has
        them answer at once where memory allows. Yields the job as it proceeds; the last one has
        `rows`, a server's figures each, and the `report` with all answers."""

        def submit(owner: str) -> str:
            values = {
                "variants": studio.compare_text.variants(map(str, models), owner),
                "prompts": tuple(prompts),
                "system": system,
                "sampling": {"temperature": temperature, "max_tokens": max_tokens, "seed": seed},
                "together": together,
            }
            return studio.compare_text.compare(valid(CompareTextRequest, values), owner)

        yield from with_report(studio, request, follow(request, submit), studio.compare_text.rows)

    return (compare_text,)
