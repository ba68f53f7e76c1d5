"""What the page needs to know of the models: the variants, their limits, examples, a first word."""

from typing import Any

from backend.contracts import Model
from ui.i18n import t
from ui.parts.markup import button, esc, icon
from ui.parts.metrics_line import variant_name
from ui.parts.variant_picker import default_variant, variant_key, variant_picker


def models_state(models: tuple[Model, ...], language: str, guest: bool) -> dict[str, Any]:
    """The HTML of the picker, the examples and the empty stage, and each model's limits."""
    chosen = default_variant(models)
    examples = list(dict.fromkeys(prompt for model in models for prompt in model.examples))
    return {
        "variant": chosen,
        "limits": {model.id: model.limits.model_dump() for model in models},
        "parts": {
            "picker": variant_picker(models, language, guest),
            "tools": prompt_tools(examples, language),
            "empty": empty_stage(examples, models, chosen, language),
        },
    }


def prompt_tools(examples: list[str], language: str) -> str:
    """Under the prompt: examples to start from, and settings to take from a picture."""
    items = "".join(
        f"<li>{button(text, 'example', kind='s-example', prompt=text)}</li>" for text in examples
    )
    title, choose = t("page.examples.title", language), t("page.drop.choose", language)
    return (
        f'<details class="s-menu" id="examples"><summary class="s-button quiet">{icon("more")}'
        f"<span>{esc(title)}</span></summary><ul>{items}</ul></details>"
        f'<label class="s-button quiet s-file" title="{esc(t("page.drop.explained", language))}">'
        f"{icon('reuse')}<span>{esc(choose)}</span>"
        '<input type="file" id="settings-file" accept="image/png"></label>'
    )


def empty_stage(examples: list[str], models: tuple[Model, ...], chosen: str, language: str) -> str:
    """What the stage says before the first picture."""
    items = "".join(
        f"<li>{button(text, 'example', kind='s-example', prompt=text)}</li>"
        for text in examples[:3]
    )
    reason = next(
        variant.reason
        for model in models
        for variant in model.variants
        if variant_key(model, variant) == chosen
    )
    return (
        f'<article class="s-empty" data-key="empty">{icon("image")}'
        f"<p>{esc(t('page.empty.sentence', language))}</p><ul>{items}</ul>"
        f'<p class="s-engine">{esc(variant_name(chosen))} — {esc(reason.render(language))}</p>'
        '<p class="s-keys"><kbd>Ctrl</kbd><kbd>Enter</kbd> '
        f"{esc(t('page.empty.generate', language))} <kbd>Esc</kbd> "
        f"{esc(t('page.empty.stop', language))}</p></article>"
    )
