"""How the model is asked: system prompt, sampling, presets. Fields that the chosen server does not
take are hidden by `assets/js/chat/settings.js`."""

import json

from ui.i18n import t
from ui.parts.markup import button, details, esc

NUMBERS = {
    "temperature": "0.05",
    "top_p": "0.01",
    "top_k": "1",
    "min_p": "0.01",
    "repetition_penalty": "0.01",
    "max_tokens": "1",
    "seed": "1",
}
"""Fields with the step that their arrows take."""
EVERYDAY = ("temperature", "top_p", "max_tokens", "seed")
PRESETS: dict[str, dict[str, float]] = {
    "precise": {"temperature": 0.2, "top_p": 0.9},
    "balanced": {"temperature": 0.7, "top_p": 0.95},
    "creative": {"temperature": 1.1, "top_p": 0.98},
}
"""A cooler or warmer draw; what a preset does not name is left to the server and the model."""
SYSTEM_ROWS = 4


def settings_form(language: str) -> str:
    fields = {name: _number(name, step, language) for name, step in NUMBERS.items()}
    seldom = "".join(html for name, html in fields.items() if name not in EVERYDAY)
    stop = _field(
        "stop",
        '<textarea id="chat-stop-strings" name="stop" class="s-field" rows="2" dir="auto" '
        f'placeholder="{esc(t("chat.field.stop.hint", language))}"></textarea>',
        language,
    )
    close = button(
        t("chat.tune.close", language), "chat-tune", symbol="close", kind="quiet", compact=True
    )
    return (
        f'<form id="chat-form" class="e-form" novalidate>'
        f'<header class="c-panel-head"><h3>{esc(t("chat.tune", language))}</h3>{close}</header>'
        f"{_system(language)}{_presets(language)}"
        f'<div class="e-pair">{"".join(fields[name] for name in EVERYDAY)}</div>{stop}'
        f"{details('chat-more', t('chat.tune.more', language), f'<div>{seldom}</div>')}"
        f"{_completion(language)}</form>"
    )


def _system(language: str) -> str:
    return _field(
        "system",
        f'<textarea id="chat-system" name="system" class="s-field" rows="{SYSTEM_ROWS}" dir="auto" '
        f'placeholder="{esc(t("chat.field.system.hint", language))}"></textarea>',
        language,
    )


def _presets(language: str) -> str:
    def choice(name: str, values: dict[str, float] | None) -> str:
        data = f' data-values="{esc(json.dumps(values))}"' if values else ""
        return (
            f'<label><input type="radio" name="preset" value="{name}"{data}>'
            f"<span>{esc(t(f'chat.preset.{name}', language))}</span></label>"
        )

    names = "".join(choice(name, values) for name, values in PRESETS.items())
    return (
        f'<fieldset class="c-presets"><legend>{esc(t("chat.preset", language))}</legend>'
        f"<div>{names}{choice('custom', None)}</div></fieldset>"
    )


def _number(name: str, step: str, language: str) -> str:
    default = esc(t("chat.field.default", language))
    return _field(
        name,
        f'<input type="number" id="chat-{name}" name="{name}" class="s-field" step="{step}" '
        f'placeholder="{default}" inputmode="decimal" autocomplete="off">',
        language,
    )


def _field(name: str, control: str, language: str) -> str:
    return (
        f'<label class="e-field" data-field="{name}">'
        f"<span>{esc(t(f'chat.field.{name}', language))}</span>{control}</label>"
    )


def _completion(language: str) -> str:
    return (
        '<label class="e-check" data-field="completion">'
        '<input type="checkbox" id="chat-completion" name="completion">'
        f"<span>{esc(t('chat.field.completion', language))}<br>"
        f'<small class="s-muted">{esc(t("chat.field.completion.hint", language))}</small></span>'
        "</label>"
    )
