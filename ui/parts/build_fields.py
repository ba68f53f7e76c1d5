"""The fields of the build form; their labels are `page.build.` and their name."""

from collections.abc import Mapping

from ui.i18n import t
from ui.parts.markup import esc

Bounds = Mapping[str, float | str]
Options = list[tuple[str, str]]


def select(name: str, options: Options, chosen: str, language: str, hint: str = "") -> str:
    """A changed choice is a new element, whose options the browser draws anew."""
    key = f"{name}:{chosen}:{','.join(value for value, _ in options)}"
    items = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(text)}</option>'
        for value, text in options
    )
    field = f'<select name="{name}" class="s-field" id="build-{name}">{items}</select>'
    return _labelled(name, key, field, language, hint)


def number(
    name: str,
    value: str,
    suggested: float | None,
    language: str,
    bounds: Bounds,
    key: str = "",
    hint: str = "",
) -> str:
    """`suggested` is what an empty field stands for, `bounds` the attributes that limit it; `key`
    changes with what the field is about."""
    limits = "".join(f' {bound}="{limit}"' for bound, limit in bounds.items())
    usual = "" if suggested is None else f' placeholder="{suggested:g}"'
    mode = "decimal" if bounds.get("step") == "any" else "numeric"
    field = (
        f'<input type="number" name="{name}" class="s-field" id="build-{name}" '
        f'value="{esc(value)}" inputmode="{mode}"{usual}{limits}>'
    )
    return _labelled(name, f"{name}:{key}", field, language, hint)


def check(name: str, value: str, language: str) -> str:
    checked = " checked" if value else ""
    return (
        f'<label class="e-check" data-key="{name}"><input type="checkbox" name="{name}" value="1" '
        f'id="build-{name}"{checked}><span>{esc(t(f"page.build.{name}", language))}</span></label>'
    )


def _labelled(name: str, key: str, field: str, language: str, hint: str) -> str:
    note = f'<small class="e-note">{esc(hint)}</small>' if hint else ""
    return (
        f'<label class="e-field" data-key="{esc(key)}"><span>'
        f"{esc(t(f'page.build.{name}', language))}</span>{field}{note}</label>"
    )
