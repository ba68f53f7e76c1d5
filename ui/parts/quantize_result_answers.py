"""Answers side by side, with the place where they part marked."""

from backend.contracts import Agreement, Samples
from ui.i18n import t
from ui.parts.markup import button, details, esc
from ui.parts.quantize_result_list import scope_mark


def samples(found: Samples | None, language: str) -> str:
    """Of the original and the quantised model, as the job asked them."""
    if found is None:
        return f'<p class="r-note">{esc(t("page.result.no_samples", language))}</p>'
    asked = "template" if found.template else "plain"
    about = t(f"page.result.asked_{asked}", language, tokens=found.tokens)
    rows = "".join(
        pair(
            each.prompt,
            each.before,
            each.after,
            t(f"page.result.purpose.{each.purpose}", language),
            each.language,
            language,
        )
        for each in found.answers
    )
    mark = scope_mark(found.scope, language)
    return f'<p class="r-note">{esc(about)} {mark}</p><ul class="r-answers">{rows}</ul>'


def pair(prompt: str, before: str, after: str, purpose: str, spoken: str, language: str) -> str:
    """One prompt with two answers."""
    same = before == after
    said = t("page.result.same" if same else "page.result.parts", language)
    one, other = (
        (esc(before), esc(after)) if same else (_marked(before, after), _marked(after, before))
    )
    columns = "".join(
        f"<div><h4>{esc(t(f'page.result.{name}', language))}</h4>"
        f'<p lang="{esc(spoken)}" dir="auto">{answer or "—"}</p></div>'
        for name, answer in (("before", one), ("after", other))
    )
    return (
        f'<li data-same="{str(same).lower()}"><header><span lang="{esc(spoken)}" dir="auto">'
        f'<b>{esc(purpose)}</b>{esc(prompt)}</span><em class="r-same">{esc(said)}</em></header>'
        f'<div class="r-pair">{columns}</div></li>'
    )


def _marked(one: str, other: str) -> str:
    """`one` with the first word that is another in `other` marked."""
    pairs = enumerate(zip(one, other, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
    begin = max(one.rfind(" ", 0, at), one.rfind("\n", 0, at)) + 1
    end = next((index for index in range(at, len(one)) if one[index].isspace()), len(one))
    word = f"<mark>{esc(one[begin:end])}</mark>" if end > begin else ""
    return f"{esc(one[:begin])}{word}{esc(one[end:])}"


def agreement(found: Agreement | None, key: str, language: str) -> str:
    """What two live servers answered, and the button that asks them."""
    ask = button(t("page.result.agree", language), "result-agree", symbol="columns", key=key)
    about = f'<p class="r-note">{esc(t("page.result.agree_about", language))}</p>'
    if found is None:
        return f'{about}<div class="s-row">{ask}</div>'
    tokens = found.leading_tokens
    figures = [
        ("same", t("page.result.agree_count", language, same=found.same, of=len(found.answers))),
        ("characters", f"{100 * found.leading_characters:.1f} %"),
        ("tokens", "—" if tokens is None else f"{100 * tokens:.1f} %"),
    ]
    cells = "".join(
        f"<div><dt>{esc(t(f'page.result.agree_{name}', language))}</dt><dd>{esc(value)}</dd></div>"
        for name, value in figures
    )
    servers = t("page.result.agree_servers", language, server=found.server, of=found.reference)
    simulated = ""
    if found.simulated:
        simulated = f' <em class="r-scope">{esc(t("page.servers.simulated", language))}</em>'
    rows = "".join(
        pair(each.prompt, each.reference, each.answer, "", each.language, language)
        for each in found.answers
    )
    return (
        f'{about}<p class="r-note" id="result-agreement">{esc(servers)}{simulated}</p>'
        f'<dl class="s-metrics">{cells}</dl>'
        + details("agreement", t("page.result.agree_answers", language),
                  f'<ul class="r-answers">{rows}</ul>')
        + f'<div class="s-row">{ask}</div>'
    )  # fmt: skip
