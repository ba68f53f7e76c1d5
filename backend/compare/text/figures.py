"""How far answers are the same, and the figures of a server from its answers."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from backend.chat.client.exchange import parts_at, share
from backend.compare.figures import figures
from backend.contracts import (
    ComparedAnswer,
    ComparedServer,
    ComparedState,
    Figures,
    Sampling,
    TextReport,
)
from backend.models.families.tokens import token_ids


def is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature == 0


def same_characters(reference: ComparedAnswer, answer: ComparedAnswer) -> int:
    """How many first ones of reasoning and text are those of the reference; of the text only where
    the whole reasoning is the same."""
    same = parts_at(reference.reasoning, answer.reasoning)
    if reference.reasoning != answer.reasoning:
        return same
    return same + parts_at(reference.text, answer.text)


def likeness(
    reference: ComparedAnswer, answer: ComparedAnswer, tokenizer: Path | None
) -> dict[str, Any]:
    """The fields of `answer` that say how far it is the reference's. `tokenizer` is the folder of
    the reference's, None where it has none."""
    found: dict[str, Any] = {"same_characters": same_characters(reference, answer)}
    if tokenizer is None:
        return found
    reasoning, text = _tokens(reference, tokenizer)
    own_reasoning, own_text = _tokens(answer, tokenizer)
    same = parts_at(reasoning, own_reasoning)
    if reasoning == own_reasoning:
        same += parts_at(text, own_text)
    return found | {"same_tokens": same, "tokens": len(own_reasoning) + len(own_text)}


def counted(answer: ComparedAnswer, tokenizer: Path | None) -> dict[str, Any]:
    """The same of an answer of the reference itself."""
    if tokenizer is None:
        return {}
    return {"tokens": sum(len(each) for each in _tokens(answer, tokenizer))}


def _tokens(answer: ComparedAnswer, tokenizer: Path) -> tuple[list[int], list[int]]:
    return token_ids(tokenizer, answer.reasoning), token_ids(tokenizer, answer.text)


def summarised(report: TextReport) -> TextReport:
    """The report with every server's figures anew from its answers."""
    variants = tuple(
        variant.model_copy(update=_summary(report, index))
        for index, variant in enumerate(report.variants)
    )
    return report.model_copy(update={"variants": variants})


def _summary(report: TextReport, variant: int) -> dict[str, Any]:
    answers = _done(report, variant)
    alone = [one for one in answers if one.alone]
    timed = alone or answers
    return {
        "ttft_s": figures(one.ttft_s for one in timed),
        "tokens_per_s": figures(one.tokens_per_s for one in timed),
        **_agreement(report, variant, answers),
    }


def row(server: ComparedServer) -> dict[str, Any]:
    """Its fields as plain values, medians in place of spreads."""
    data = server.model_dump(mode="json", exclude={"error"})
    for name in ("ttft_s", "tokens_per_s"):
        found: Figures | None = getattr(server, name)
        data[name] = found.median if found else None
    data["error"] = str(server.error.code) if server.error else None
    return data


def _done(report: TextReport, variant: int) -> list[ComparedAnswer]:
    return [
        one for one in report.answers if one.variant == variant and one.state is ComparedState.DONE
    ]


def _agreement(
    report: TextReport, variant: int, answers: Sequence[ComparedAnswer]
) -> dict[str, Any]:
    """Of greedy answers beside the reference's; the reference has none with itself."""
    references = {one.prompt: one for one in _done(report, report.reference)}
    pairs = [
        (references[one.prompt], one)
        for one in answers
        if one.prompt in references and one.same_characters is not None
    ]
    if variant == report.reference or not is_greedy(report.request.sampling) or not pairs:
        return {"agreement": None, "same": None}
    shares = [_token_share(reference, one) for reference, one in pairs]
    known = [each for each in shares if each is not None]
    if len(known) < len(pairs):
        known = [_character_share(reference, one) for reference, one in pairs]
    return {
        "agreement": mean(known),
        "same": sum(
            (reference.reasoning, reference.text) == (one.reasoning, one.text)
            for reference, one in pairs
        ),
    }


def _token_share(reference: ComparedAnswer, answer: ComparedAnswer) -> float | None:
    if answer.same_tokens is None or answer.tokens is None or reference.tokens is None:
        return None
    return share(answer.same_tokens, reference.tokens, answer.tokens)


def _character_share(reference: ComparedAnswer, answer: ComparedAnswer) -> float:
    lengths = (len(one.reasoning) + len(one.text) for one in (reference, answer))
    return share(answer.same_characters or 0, *lengths)
