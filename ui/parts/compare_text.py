"""The form that compares answers: a model, its checkpoints, and what serves each."""

from dataclasses import dataclass

from backend.contracts import LanguageModel, ServeOption, ServeOptions
from backend.errors import ErrorInfo
from backend.language import human_bytes
from backend.studio import MOST_SERVERS
from ui.i18n import t
from ui.parts.compare_fields import area, check, not_here, number, prompts_block, select
from ui.parts.compare_form import (
    SEPARATOR,
    SIMULATED,
    USUAL_MAX_TOKENS,
    CompareForm,
    Prompts,
    in_order,
)
from ui.parts.compare_start import start_row
from ui.parts.error_card import error_card
from ui.parts.markup import button, esc, icon

RUNS = "server.runs_already"


@dataclass(frozen=True)
class Served:
    """A model, and how it could be served here."""

    name: str
    options: ServeOptions | ErrorInfo

    @property
    def model(self) -> LanguageModel | None:
        return None if isinstance(self.options, ErrorInfo) else self.options.model

    @property
    def ways(self) -> tuple[ServeOption, ...]:
        return () if isinstance(self.options, ErrorInfo) else self.options.options

    @property
    def usable(self) -> tuple[str, ...]:
        return tuple(value_of(self.name, one) for one in self.ways if can_answer(one))


def value_of(model: str, option: ServeOption) -> str:
    return f"{model}{SEPARATOR}{SIMULATED if option.simulated else option.kind}"


def can_answer(option: ServeOption) -> bool:
    """A server that runs already is asked as it is."""
    return option.possible or option.reason.key == RUNS


def chosen_servers(form: CompareForm, offered: tuple[Served, ...]) -> tuple[str, ...]:
    """Those that were ticked and can serve, the reference first; a model without its server stands
    for the first way to serve it. Nothing was ticked yet: that of the first two models."""
    usable = [value for one in offered for value in one.usable]
    first = {f"{one.name}{SEPARATOR}": one.usable[0] for one in offered if one.usable}
    if not form.servers:
        return tuple(first.values())[:2]
    found = [first.get(one, one) for one in form.servers]
    reference = first.get(form.text_reference, form.text_reference)
    return in_order([one for one in dict.fromkeys(found) if one in usable], reference)


def text_form(
    form: CompareForm,
    models: tuple[LanguageModel, ...],
    offered: tuple[Served, ...],
    chosen: tuple[str, ...],
    prompts: Prompts,
    questions: tuple[str, ...],
    count: int,
    problem: ErrorInfo | None,
    language: str,
) -> str:
    """`offered` are the chosen model, then its checkpoints, then another one if asked for."""
    names = [one.name for one in models]
    base = offered[0].name if offered else ""
    family = {one.name for one in offered if one.name != form.beside}
    others = [(name, name) for name in names if name not in family]
    if form.beside and form.beside not in names:
        others.append((form.beside, form.beside))
    beside = [("", t("page.compare.no_beside", language)), *others]
    told = ""
    if count and len(chosen) > 1:
        told = t("page.compare.answers_count", language, count=count * len(chosen))
    return (
        '<div class="k-columns"><div class="k-column">'
        f"{select('base', [(name, name) for name in names], base, language)}"
        f"{_servers(offered, chosen, language)}"
        f"{select('beside', beside, form.beside, language) if others else ''}</div>"
        '<div class="k-column">'
        f"{prompts_block(prompts, questions, count, language)}"
        f"{_sampling(form, language)}</div></div>"
        f"{start_row(told, problem, language)}"
    )


def _servers(offered: tuple[Served, ...], chosen: tuple[str, ...], language: str) -> str:
    if not offered:
        return f'<p class="q-note">{esc(t("page.servers.no_model", language))}</p>'
    rows = "".join(_model(one, chosen, language) for one in offered)
    hint = esc(t("page.compare.variants_hint", language, most=MOST_SERVERS))
    alone = ""
    if len(offered) == 1:
        words = t("page.compare.quantise", language)
        alone = (
            f'<p class="q-note" data-key="alone"><span>{esc(t("page.compare.alone", language))} '
            f"{button(words, 'compare-quantise', kind='quiet')}</span></p>"
        )
    return (
        f'<fieldset class="k-variants" data-key="servers:{esc(offered[0].name)}"><legend>'
        f"{esc(t('page.compare.variants', language))}<small>{hint}</small></legend>"
        f"{rows}</fieldset>{alone}"
    )


def _model(served: Served, chosen: tuple[str, ...], language: str) -> str:
    model = served.model
    about = ""
    if model is not None:
        about = f"{model.precision.partition(' (')[0]} · {human_bytes(model.weights_bytes)}"
    head = f'<h4 dir="auto">{esc(served.name)}<small class="s-num">{esc(about)}</small></h4>'
    if isinstance(served.options, ErrorInfo):
        card = error_card(served.options, language, key=f"error-{served.name}")
        return f'<div class="k-model" data-key="{esc(served.name)}">{head}{card}</div>'
    usable = [one for one in served.ways if can_answer(one)]
    rest = [(one.title, one.reason.render(language)) for one in served.ways if not can_answer(one)]
    rows = "".join(_way(served.name, one, chosen, language) for one in usable)
    if not usable:
        words = esc(t("page.compare.none_serves", language))
        rows = f'<p class="s-reason">{icon("close")}{words}</p>'
    return (
        f'<div class="k-model" data-key="{esc(served.name)}">{head}{rows}'
        f"{not_here(served.name, rest, language)}</div>"
    )


def _way(model: str, option: ServeOption, chosen: tuple[str, ...], language: str) -> str:
    value = value_of(model, option)
    ticked = value in chosen
    full = len(chosen) >= MOST_SERVERS and not ticked
    state = (" checked" if ticked else "") + (" disabled" if full else "")
    badge = ""
    if option.simulated:
        badge = f'<em class="v-simulated">{esc(t("page.servers.simulated", language))}</em>'
    size = human_bytes(option.total_bytes) if option.total_bytes else ""
    runs = option.reason.key == RUNS
    reason = t("page.compare.runs", language) if runs else option.reason.render(language)
    reference = ""
    if ticked:
        checked = " checked" if value == chosen[0] else ""
        reference = (
            '<label class="k-reference"><input type="radio" name="text_reference" '
            f'value="{esc(value)}"{checked}><span>{esc(t("page.compare.reference", language))}'
            "</span></label>"
        )
    return (
        f'<div class="k-variant" data-key="{esc(value)}" data-state="ready"'
        f"{' data-full' if full else ''}>"
        f'<label><input type="checkbox" name="servers" value="{esc(value)}"{state}>'
        f'<span><strong>{esc(option.title)} {badge}</strong><small class="s-num">{esc(size)}'
        f'</small></span></label>{reference}<p class="s-reason">'
        f"{icon('server' if runs else 'check')}{esc(reason)}</p></div>"
    )


def _sampling(form: CompareForm, language: str) -> str:
    numbers = (
        number("temperature", form.temperature, 0, language, min=0)
        + number("max_tokens", form.max_tokens, USUAL_MAX_TOKENS, language, min=1)
        + number("text_seed", form.text_seed, "", language, min=0)
    )
    return (
        f"{area('system', form.system, language, 2)}"
        f'<div class="k-three" data-key="sampling">{numbers}</div>'
        f'<p class="e-note">{esc(t("page.compare.greedy", language))}</p>'
        f"{check('together', form.together, language)}"
    )
