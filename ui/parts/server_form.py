"""The form that starts a server: a model, what can serve it here, and what that takes."""

from dataclasses import dataclass
from zlib import crc32

from pydantic import BaseModel

from backend.contracts import LanguageModel, ServeOption, ServeOptions, ServeRequest, ServerKind
from backend.errors import Code, StudioError
from backend.language import human_bytes, text
from ui.i18n import t
from ui.parts.markup import esc
from ui.parts.server_card import shown_name

SIMULATED = "simulated"
MOST_DIGITS = 9


class ServerForm(BaseModel):
    """The fields as the page sends them."""

    model: str = ""
    other: str = ""
    """A repository or a folder, which then counts."""
    server: str = ""
    """A kind of server, or `simulated`."""
    context_tokens: str = ""
    parallel: str = ""

    def limits(self) -> tuple[int | None, int | None]:
        """Context and conversations. Raises StudioError INVALID_REQUEST."""
        return _whole(self.context_tokens, "context"), _whole(self.parallel, "parallel")


@dataclass(frozen=True)
class Choice:
    """What the form stands at."""

    wanted: str
    options: ServeOptions | None
    """None while there is no model to choose."""
    chosen: ServeOption | None
    """None where nothing can serve it."""


def wanted_model(form: ServerForm, models: tuple[LanguageModel, ...]) -> str:
    names = [model.name for model in models]
    if form.other.strip():
        return form.other.strip()
    return form.model if form.model in names else next(iter(names), "")


def choose(form: ServerForm, wanted: str, options: ServeOptions | None) -> Choice:
    """The server that the form names if it is possible, else the first that is."""
    possible = [one for one in options.options if one.possible] if options else []
    named = (one for one in possible if value_of(one) == form.server)
    return Choice(wanted, options, next(named, possible[0] if possible else None))


def request_of(form: ServerForm, wanted: str) -> ServeRequest:
    """Raises StudioError INVALID_REQUEST."""
    simulated = form.server == SIMULATED
    kinds = {str(kind): kind for kind in ServerKind}
    kind = ServerKind.TRANSFORMERS if simulated else kinds.get(form.server)
    if kind is None:
        raise StudioError(Code.INVALID_REQUEST, problem=text("page.servers.problem_server"))
    context, parallel = form.limits()
    if kind is ServerKind.TRANSFORMERS:
        parallel = None
    return ServeRequest(
        model=wanted, kind=kind, context_tokens=context, parallel=parallel, simulated=simulated
    )


def value_of(option: ServeOption) -> str:
    return SIMULATED if option.simulated else str(option.kind)


def server_form(
    form: ServerForm,
    models: tuple[LanguageModel, ...],
    choice: Choice,
    folders: bool,
    language: str,
) -> str:
    """`folders` says whether the reader may name one."""
    return (
        f"<h3>{esc(t('page.servers.new', language))}</h3>"
        f"{_models(models, form.model or choice.wanted, language)}{_other(form, folders, language)}"
        f"{_facts(choice, language)}{_servers(choice, language)}{_limits(form, choice, language)}"
        f"{_estimate(choice, language)}"
    )


def _models(models: tuple[LanguageModel, ...], chosen: str, language: str) -> str:
    if not models:
        return f'<p class="e-note">{esc(t("page.servers.no_model", language))}</p>'
    items = "".join(
        f'<option value="{esc(one.name)}"{" selected" if one.name == chosen else ""}>'
        f"{esc(shown_name(one.name, one.simulated))} · {esc(one.precision.partition(' (')[0])}"
        f"{esc(_simulated(one, language))} · {esc(human_bytes(one.weights_bytes))}</option>"
        for one in models
    )
    return (
        f'<label class="e-field" data-key="model:{crc32(items.encode()):x}">'
        f"<span>{esc(t('page.servers.model', language))}</span>"
        f'<select name="model" class="s-field" id="server-model">{items}</select></label>'
    )


def _simulated(model: LanguageModel, language: str) -> str:
    return f" ({t('page.servers.simulated', language)})" if model.simulated else ""


def _other(form: ServerForm, folders: bool, language: str) -> str:
    key = "page.servers.other_or_folder" if folders else "page.servers.other"
    return (
        f'<label class="e-field" data-key="other"><span>{esc(t(key, language))}</span>'
        f'<input type="text" name="other" class="s-field" id="server-other" '
        f'value="{esc(form.other)}" placeholder="Qwen/Qwen3-8B" autocomplete="off" '
        f'spellcheck="false"></label>'
    )


def _facts(choice: Choice, language: str) -> str:
    if choice.options is None:
        return ""
    model = choice.options.model
    if model is None:
        said = t("page.servers.to_fetch", language)
    elif not model.has_template:
        said = t("page.servers.no_template", language)
    else:
        return ""
    return f'<p class="e-note" data-key="facts">{esc(said)}</p>'


def _servers(choice: Choice, language: str) -> str:
    if choice.options is None:
        return ""
    rows = "".join(_server(one, one == choice.chosen, language) for one in choice.options.options)
    return (
        f'<fieldset class="v-kinds" data-key="kinds:{esc(choice.wanted)}">'
        f"<legend>{esc(t('page.servers.server', language))}</legend>{rows}</fieldset>"
    )


def _server(option: ServeOption, chosen: bool, language: str) -> str:
    value, badge = value_of(option), ""
    if option.simulated:
        badge = f'<em class="v-simulated">{esc(t("page.servers.simulated", language))}</em>'
    state = " checked" if chosen else "" if option.possible else " disabled"
    return (
        f'<label class="v-kind" data-possible="{str(option.possible).lower()}">'
        f'<input type="radio" name="server" value="{value}" id="server-{value}"{state}>'
        f"<span><strong>{esc(option.title)}</strong> {badge}"
        f"<small>{esc(option.reason.render(language))}</small></span></label>"
    )


def _limits(form: ServerForm, choice: Choice, language: str) -> str:
    """Empty fields stand for what is shown in them; transformers answers one after the other."""
    usual = choice.chosen
    if usual is None:
        return ""
    fields = _number("context_tokens", form.context_tokens, usual.context_tokens, language)
    if usual.kind is not ServerKind.TRANSFORMERS:
        fields += _number("parallel", form.parallel, usual.parallel, language)
    return f'<div class="e-pair" data-key="limits:{esc(choice.wanted)}">{fields}</div>'


def _number(name: str, value: str, usual: int | None, language: str) -> str:
    label = t(f"page.servers.{name.removesuffix('_tokens')}", language)
    shown = f' placeholder="{usual}"' if usual else ""
    return (
        f'<label class="e-field" data-key="{name}"><span>{esc(label)}</span>'
        f'<input type="number" name="{name}" class="s-field" id="server-{name}" min="1" '
        f'inputmode="numeric" value="{esc(value)}"{shown}></label>'
    )


def _estimate(choice: Choice, language: str) -> str:
    options, chosen = choice.options, choice.chosen
    if options is None:
        return ""
    rows, note, fits = "", "", chosen is not None
    if chosen is not None and chosen.total_bytes:
        rest = chosen.total_bytes - chosen.weights_bytes - chosen.cache_bytes
        parts = t(
            "page.servers.parts",
            language,
            weights_bytes=chosen.weights_bytes,
            cache_bytes=chosen.cache_bytes,
            rest_bytes=rest,
        )
        rows = _row("aside", human_bytes(chosen.total_bytes), parts, language)
        if chosen.guessed:
            note = t("page.servers.guess", language)
    if options.budget_bytes:
        now = t(
            "page.servers.room_now",
            language,
            free_bytes=options.free_bytes,
            budget_bytes=options.budget_bytes,
        )
        warning = ""
        if chosen is not None and chosen.total_bytes > options.budget_bytes:
            warning, fits = t("page.servers.too_large", language), False
        elif chosen is not None and chosen.total_bytes > options.free_bytes:
            warning = t("page.servers.waits", language)
        rows += _row("room", now, warning, language)
    noted = f'<p class="e-note">{esc(note)}</p>' if note else ""
    go = t("page.servers.fetch_go" if options.model is None else "page.servers.go", language)
    return (
        f'<div class="e-estimate"><dl>{rows}</dl>{noted}<button type="submit" class="e-primary" '
        f'id="server-go"{"" if fits else " disabled"}>{esc(go)}</button></div>'
    )


def _row(name: str, value: str, more: str, language: str) -> str:
    label = esc(t(f"page.servers.{name}", language))
    small = f"<small>{esc(more)}</small>" if more else ""
    return f"<div><dt>{label}</dt><dd>{esc(value)}{small}</dd></div>"


def _whole(value: str, field: str) -> int | None:
    """Raises StudioError INVALID_REQUEST."""
    if not value.strip():
        return None
    if not value.strip().isdecimal() or len(value.strip()) > MOST_DIGITS:
        problem = text("page.problem.whole", field=text(f"page.servers.{field}"))
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    return int(value)
