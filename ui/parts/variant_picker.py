"""Every variant of every model with where it stands and why. One that can be built or fetched can
be chosen too, but not by a visitor: the page then offers that."""

from backend.contracts import Model, Variant, VariantState
from backend.language import human_bytes
from ui.i18n import t
from ui.parts.markup import esc, icon
from ui.parts.metrics_line import RUNTIME_NAMES

SYMBOLS = {VariantState.BUILDABLE: "build", VariantState.DOWNLOADABLE: "download"}


def variant_key(model: Model, variant: Variant) -> str:
    return f"{model.id}/{variant.precision}/{variant.runtime}"


def default_variant(models: tuple[Model, ...]) -> str:
    """The first variant that is ready, else the first of all."""
    pairs = [(model, variant) for model in models for variant in model.variants]
    ready = [pair for pair in pairs if pair[1].state == VariantState.READY]
    return variant_key(*(ready or pairs)[0])


def variant_picker(models: tuple[Model, ...], language: str, guest: bool = False) -> str:
    return "".join(_model(model, language, guest) for model in models)


def _model(model: Model, language: str, guest: bool) -> str:
    rows = "".join(_variant(model, variant, language, guest) for variant in model.variants)
    about = f"{model.licence} · {human_bytes(model.size_bytes)}"
    return (
        f'<fieldset class="s-model" data-key="{esc(model.id)}"><legend>{esc(model.name)}'
        f"<small>{esc(about)}</small></legend>{rows}</fieldset>"
    )


def _variant(model: Model, variant: Variant, language: str, guest: bool) -> str:
    key = variant_key(model, variant)
    ready = variant.state == VariantState.READY
    reason = "" if variant.state is VariantState.BUILDABLE else variant.reason.render(language)
    size = human_bytes(variant.memory_bytes) if variant.memory_bytes else ""
    loaded = f" · {t('page.variant.loaded', language)}" if variant.loaded else ""
    offered = variant.state in (VariantState.BUILDABLE, VariantState.DOWNLOADABLE)
    choosable = ready or (offered and not guest)
    mark = icon("check") if ready else icon(SYMBOLS.get(variant.state, "close"))
    state = "" if ready else f"<b>{esc(t(f'page.variant.{variant.state}', language))}</b> "
    return (
        f'<label class="s-variant" data-key="{esc(key)}" data-state="{esc(variant.state)}">'
        f'<input type="radio" name="variant" value="{esc(key)}"{"" if choosable else " disabled"}>'
        f"<span><strong>{esc(variant.precision.upper())}</strong> "
        f"{esc(RUNTIME_NAMES[variant.runtime])}"
        f'<small class="s-num">{esc(size)}{esc(loaded)}</small></span>'
        f'<small class="s-reason">{mark}{state}{esc(reason)}</small></label>'
    )
