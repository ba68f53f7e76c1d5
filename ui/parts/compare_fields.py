"""The fields of the Compare tab; their labels are `page.compare.field.` and their name."""

from ui.i18n import t
from ui.parts.compare_form import BUILT_IN, FILE, USUAL_BUILT_IN, WRITTEN, Prompts
from ui.parts.markup import button, details, esc, icon

PREVIEWED, PREVIEW_CHARACTERS = 4, 160


def number(
    name: str, value: str, usual: object, language: str, key: str = "", **limits: object
) -> str:
    """`usual` is what an empty field stands for; `key` changes with what the field is about."""
    bounds = "".join(f' {bound}="{esc(limit)}"' for bound, limit in limits.items())
    return _labelled(
        name,
        f'<input type="number" name="{name}" class="s-field" id="compare-{name}" '
        f'value="{esc(value)}" placeholder="{esc(usual)}" inputmode="decimal" step="any"{bounds}>',
        language,
        f"{name}:{key}",
    )


def area(name: str, value: str, language: str, rows: int, hint: str = "") -> str:
    return _labelled(
        name,
        f'<textarea name="{name}" class="s-field" id="compare-{name}" rows="{rows}" dir="auto" '
        f'placeholder="{esc(hint)}">\n{esc(value)}</textarea>',
        language,
    )


def select(name: str, options: list[tuple[str, str]], chosen: str, language: str) -> str:
    """A changed choice is a new element, whose options the browser draws anew."""
    items = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(words)}'
        "</option>"
        for value, words in options
    )
    key = f"{name}:{chosen}:{','.join(value for value, _ in options)}"
    field = f'<select name="{name}" class="s-field" id="compare-{name}">{items}</select>'
    return _labelled(name, field, language, key)


def check(name: str, value: str, language: str, off: bool = False) -> str:
    state = (" checked" if value else "") + (" disabled" if off else "")
    hint = esc(t(f"page.compare.hint.{name}", language))
    return (
        f'<label class="e-check" data-key="{name}"><input type="checkbox" name="{name}" value="1" '
        f'id="compare-{name}"{state}><span>{esc(t(f"page.compare.field.{name}", language))}'
        f"<small>{hint}</small></span></label>"
    )


def _labelled(name: str, field: str, language: str, key: str = "") -> str:
    return (
        f'<label class="e-field" data-key="{esc(key or name)}"><span>'
        f"{esc(t(f'page.compare.field.{name}', language))}</span>{field}</label>"
    )


def not_here(key: str, rows: list[tuple[str, str]], language: str) -> str:
    """What cannot be compared on this machine, folded: each with why."""
    if not rows:
        return ""
    items = "".join(f"<li><strong>{esc(name)}</strong> {esc(why)}</li>" for name, why in rows)
    words = t("page.compare.not_here", language, count=len(rows))
    return details(f"not-here:{key}", words, f'<ul class="k-not-here">{items}</ul>')


def prompts_block(prompts: Prompts, built_in: tuple[str, ...], count: int, language: str) -> str:
    """Where the prompts come from, and what is chosen there; `count` is how many that is."""
    before = prompts.before
    tabs = "".join(
        f'<label><input type="radio" name="{before}source" value="{one}"'
        f"{' checked' if one == prompts.source else ''}>"
        f"<span>{esc(t(f'page.compare.source.{one}', language))}</span></label>"
        for one in (WRITTEN, FILE, BUILT_IN)
    )
    body = {WRITTEN: _written, FILE: _file}.get(prompts.source)
    inner = body(prompts, language) if body else _built_in(prompts, built_in, language)
    told = esc(t("page.compare.prompt_count", language, count=count))
    return (
        f'<fieldset class="k-prompts" data-key="{before}prompts"><legend>'
        f"{esc(t('page.compare.prompts', language))}"
        f'<output class="s-num" id="compare-{before}count" data-count="{count}">{told}</output>'
        f'</legend><div class="k-switch">{tabs}</div>{inner}</fieldset>'
    )


def _written(prompts: Prompts, language: str) -> str:
    name = f"{prompts.before}written"
    return area(name, prompts.written, language, 5, t(f"page.compare.{name}_hint", language))


def _file(prompts: Prompts, language: str) -> str:
    key = "page.compare.file_other" if prompts.own else "page.compare.file_choose"
    choose = (
        f'<label class="s-button s-file">{icon("load")}<span>{esc(t(key, language))}</span>'
        '<input type="file" accept=".txt,.jsonl,text/plain" id="compare-prompts-file" '
        f'data-prompts="{prompts.before}"></label>'
    )
    if not prompts.own:
        hint = esc(t("page.compare.file_hint", language))
        return f'<div class="k-file" data-key="no-file">{choose}<p class="e-note">{hint}</p></div>'
    drop = button(
        t("page.compare.file_drop", language),
        "compare-without",
        symbol="close",
        compact=True,
        before=prompts.before,
    )
    name = prompts.own_name or t("page.compare.file_unnamed", language)
    return (
        f'<div class="k-file" data-key="file"><p class="q-good">{icon("check")}'
        f'<span dir="auto">{esc(name)}</span>{drop}</p>'
        f"{_preview(prompts.own, language)}{choose}</div>"
    )


def _built_in(prompts: Prompts, built_in: tuple[str, ...], language: str) -> str:
    name = f"{prompts.before}built_in"
    count = number(
        name, prompts.built_in, USUAL_BUILT_IN, language, str(len(built_in)), min=1,
        max=len(built_in),
    )  # fmt: skip
    told = prompts.built_in.strip()
    shown = built_in[: int(told) if told.isdecimal() else USUAL_BUILT_IN]
    of = esc(t("page.compare.built_in_of", language, count=len(built_in)))
    return (
        f'<div class="k-file" data-key="built-in">{count}<p class="e-note">{of}</p>'
        f"{_preview(list(shown), language)}</div>"
    )


def _preview(prompts: list[str], language: str) -> str:
    """The first ones."""
    items = "".join(
        f'<li dir="auto">{esc(prompt[:PREVIEW_CHARACTERS])}</li>' for prompt in prompts[:PREVIEWED]
    )
    rest = len(prompts) - PREVIEWED
    more = f"<li>{esc(t('page.compare.more', language, count=rest))}</li>" if rest > 0 else ""
    return f'<ol class="k-preview">{items}{more}</ol>'
